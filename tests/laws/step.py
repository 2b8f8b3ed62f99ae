"""Laws of steps: sizes are numbers that make sense, however the parameters walk, and nothing comes of nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import Descent, Rule
from fallline.core.field import Field, tensors_of
from fallline.core.memory import Memory
from fallline.core.part import Combine
from kit import stream, twins, weights

SHAPES = ((5, 4), (3, 6), (4, 4))  # matrices: every step can move them


@dataclass(frozen=True)
class Witness(Combine):
    """Adds the move, and writes down how long the step was."""

    seen: ClassVar[list[Tensor]] = []

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        self.seen.extend(torch.as_tensor(x) for x in tensors_of(size))
        p.add_(move)


def matrices(scale: float = 1.0) -> list[Parameter]:
    return [Parameter(p.detach() * scale) for p in weights(SHAPES, torch.float64)]


def walked(rule: Rule, params: list[Parameter], c: float = 1.0, steps: int = 10, **how) -> list[Tensor]:
    """The weights after gradients c g; the loss, for those who read it, falls from 2 c to c."""
    opt = Descent([{"params": params}], rule, lr=0.1, **how)
    for n, now in enumerate(stream(params, steps)):
        for p, g in zip(params, now, strict=True):
            p.grad = g * c
        opt.step(loss=c * (2 - n / steps))
    return [p.detach().clone() for p in params]


def a_size_is_finite_and_not_negative(rule: Rule) -> None:
    """Whatever the gradients' scale."""
    watched = Rule(rule.filter, rule.metric, rule.step, Witness(), view=rule.view)
    for c in (1e-6, 1.0, 1e6):
        Witness.seen.clear()
        found = walked(watched, matrices(), c, foreach=True)
        assert Witness.seen and all(bool((x.isfinite() & (x >= 0)).all()) for x in Witness.seen)
        assert all(bool(p.isfinite().all()) for p in found)


def however_they_walk(rule: Rule) -> None:
    """Alone, in bundles or in chunks to the last bit; in a kernel nearly."""
    begin = matrices()
    loop = walked(rule, twins(begin), foreach=False)
    assert all(map(torch.equal, loop, walked(rule, twins(begin), foreach=True)))
    assert all(map(torch.equal, loop, walked(rule, twins(begin), foreach=True, chunk_bytes=8 * 20)))
    assert_close(walked(rule, twins(begin)), loop, rtol=1e-9, atol=1e-9)


def nothing_comes_of_nothing(rule: Rule) -> None:
    """No NaN of gradients that are zero, at first or later, and no move without a filter's memory."""
    params = matrices()
    opt = Descent(params, rule, lr=0.1)
    quiet = [torch.zeros_like(p) for p in params]
    for n, now in enumerate([quiet, quiet, *stream(params, 3), quiet, quiet]):
        before = [p.detach().clone() for p in params]
        for p, g in zip(params, now, strict=True):
            p.grad = g.clone()
        opt.step(loss=1.0)
        assert all(bool(p.isfinite().all()) for p in params)
        assert n in (2, 3, 4) or all(map(torch.equal, before, params))


LAWS = (a_size_is_finite_and_not_negative, however_they_walk, nothing_comes_of_nothing)

# --- of scales --------------------------------------------------------------------------------------------------------


def a_louder_loss_changes_nothing(rule: Rule) -> None:
    """f -> c f, where the step and the metric say so."""
    quiet = walked(rule, matrices())
    for c in (1e-3, 1e3):
        assert_close(walked(rule, matrices(), c), quiet, rtol=1e-7, atol=1e-9)


def a_louder_loss_makes_longer_steps(rule: Rule) -> None:
    """f -> c f moves c times as far, where gradients do not depend on the weights."""
    begin, once = [p.detach() for p in matrices()], walked(rule, matrices())
    for c in (1e-3, 3.0):
        moved = [a - b for a, b in zip(walked(rule, matrices(), c), begin, strict=True)]
        assert_close(moved, [c * (a - b) for a, b in zip(once, begin, strict=True)], rtol=1e-7, atol=1e-9)
