"""Laws of metrics: the direction is the best one of the unit ball, and the pairing is what selectors think it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.core.field import Bundle, inner
from fallline.core.memory import Memory
from fallline.core.part import Ball, Metric, Preconditioner

T = torch.tensor(3.0, dtype=torch.float64)


def prepared(part: Metric, g: Tensor) -> Memory:
    """The metric's memory after it saw a few gradients like g."""
    mem = Memory(part.memory(g))
    for n, scale in enumerate((1.0, -0.5, 2.0), start=1):
        part.observe(g.mul(scale), mem, torch.full_like(T, n))
    return mem


def the_direction_is_the_best_of_the_unit_ball(part: Metric, g: Tensor) -> None:
    """<g, w> <= dual(g) for every w of norm 1, with equality for the direction."""
    mem = prepared(part, g)
    d = part.direction(g, mem, T)
    length = part.norm(d, mem, T)
    assert_close(inner(g, d) / length, part.dual(g, mem, T))
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        w = torch.randn(g.shape, generator=generator, dtype=g.dtype) * d.abs().clamp_min(1e-12)
        assert inner(g, w) / part.norm(w, mem, T) <= part.dual(g, mem, T) * (1 + 1e-9)


def the_direction_has_its_stated_length(part: Metric, g: Tensor) -> None:
    """norm(direction) is 1 for a ball and dual(g) for a preconditioner."""
    mem = prepared(part, g)
    wanted = torch.ones(1, dtype=torch.float64) if isinstance(part, Ball) else part.dual(g, mem, T)
    assert_close(part.norm(part.direction(g, mem, T), mem, T), wanted)


def signs_pass_through(part: Metric, g: Tensor) -> None:
    """direction(-g) = -direction(g)."""
    mem = prepared(part, g)
    assert torch.equal(part.direction(-g, mem, T), -part.direction(g, mem, T))


def alignment_is_the_pairing_with_the_direction(part: Metric, g: Tensor) -> None:
    """align(g, [u]) = <g, direction(u)>, also where a preconditioner takes the cheaper way round."""
    mem, u = prepared(part, g), g.flip(0) + g
    assert_close(part.align(g, [u, g], mem, T)[:, 0], inner(g, part.direction(u, mem, T)))


def power_follows_the_taps_or_nothing(part: Metric, g: Tensor) -> None:
    """A preconditioner's power is tr D^-1 times the filters' Gram; a ball's is the number of coordinates."""
    mem, gram = prepared(part, g), torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    power = part.power(gram, g, mem, T)[0]
    if isinstance(part, Preconditioner):
        ones = torch.ones_like(g)
        assert_close(power, gram * inner(ones, part.direction(ones, mem, T)))
    else:
        assert_close(power, torch.full_like(gram, g.numel()))


def a_bundle_is_a_loop(part: Metric, g: Tensor) -> None:
    """Tensors that walk together move exactly as each alone."""
    alone = [part.direction(x, prepared(part, x), T) for x in (g, 2 * g)]
    mem = Memory({k: Bundle([a, b]) for k, a, b in _pairs(prepared(part, g), prepared(part, 2 * g), part, g)})
    together = part.direction(Bundle([g, 2 * g]), mem, T)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def _pairs(a: Memory, b: Memory, part: Metric, g: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    return [(name, a[name], b[name]) for name in part.memory(g)]


LAWS = (
    the_direction_is_the_best_of_the_unit_ball,
    the_direction_has_its_stated_length,
    signs_pass_through,
    alignment_is_the_pairing_with_the_direction,
    power_follows_the_taps_or_nothing,
    a_bundle_is_a_loop,
)
