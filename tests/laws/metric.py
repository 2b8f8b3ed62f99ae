"""Laws of metrics: the direction is the best one of the unit ball, and the pairing is what selectors think it is."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.core.field import Bundle, Field, inner, tensors_of
from fallline.core.memory import Memory
from fallline.core.part import Metric, Preconditioner

T = torch.tensor(3.0, dtype=torch.float64)


def prepared(part: Metric, g: Tensor) -> Memory:
    """The metric's memory after it saw a few gradients like g."""
    mem = Memory(part.memory(g))
    for n, scale in enumerate((1.0, -0.5, 2.0), start=1):
        part.observe(g.mul(scale), mem, torch.full_like(T, n))
    return mem


# --- of every metric --------------------------------------------------------------------------------------------------


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
    """norm(direction) is 1 for a ball and dual(g) where the direction is as long as the gradient."""
    mem = prepared(part, g)
    wanted = part.dual(g, mem, T) if part.linear else torch.ones(1, dtype=torch.float64)
    assert_close(part.norm(part.direction(g, mem, T), mem, T), wanted)


def signs_pass_through(part: Metric, g: Tensor) -> None:
    """direction(-g) = -direction(g)."""
    mem = prepared(part, g)
    assert_close(part.direction(-g, mem, T), -part.direction(g, mem, T), rtol=0, atol=0)


def a_louder_gradient_has_the_same_direction(part: Metric, g: Tensor) -> None:
    """direction(c g) = direction(g) for every c > 0, or c direction(g) where it is as long as the gradient."""
    mem = prepared(part, g)
    for c in (1e-6, 0.3, 1e6):
        d = part.direction(g, mem, T)
        assert_close(part.direction(c * g, mem, T), c * d if part.linear else d)


def nothing_has_no_direction(part: Metric, g: Tensor) -> None:
    """0 for 0, and not NaN."""
    zero = torch.zeros_like(g)
    mem = prepared(part, g)
    assert not part.direction(zero, mem, T).any()
    assert not part.dual(zero, mem, T).any() and not part.norm(zero, mem, T).any()


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
        assert_close(power, g.numel() * (gram if part.linear else torch.ones_like(gram)))


def a_bundle_is_a_loop(part: Metric, g: Tensor) -> None:
    """Tensors that walk together move and measure exactly as each alone."""
    mems = [prepared(part, x) for x in (g, 2 * g)]
    mem = Memory({k: Bundle([a[k] for a in mems]) for k in part.memory(g)})
    _same_as_alone(part, [g, 2 * g], mems, mem)


def _same_as_alone(part: Metric, gs: list[Tensor], mems: list[Memory], mem: Memory) -> None:
    together: Field = Bundle(gs)
    alone = [part.direction(x, m, T) for x, m in zip(gs, mems, strict=True)]
    for a, b in zip(alone, tensors_of(part.direction(together, mem, T)), strict=True):
        assert torch.equal(a, b)
    for measure in (part.norm, part.dual):
        assert torch.equal(measure(together, mem, T), torch.cat([measure(*x, T) for x in zip(gs, mems, strict=True)]))


LAWS = (
    the_direction_is_the_best_of_the_unit_ball,
    the_direction_has_its_stated_length,
    signs_pass_through,
    a_louder_gradient_has_the_same_direction,
    nothing_has_no_direction,
    alignment_is_the_pairing_with_the_direction,
    power_follows_the_taps_or_nothing,
    a_bundle_is_a_loop,
)

# --- of fixed norms ---------------------------------------------------------------------------------------------------


def it_is_a_norm(part: Metric, a: Tensor, b: Tensor) -> None:
    """norm(-2 a) = 2 norm(a), norm(a + b) <= norm(a) + norm(b), and the same of the dual."""
    none = Memory({})
    for f in (part.norm, part.dual):
        assert_close(f(-2 * a, none, T), 2 * f(a, none, T))
        assert f(a + b, none, T) <= (f(a, none, T) + f(b, none, T)) * (1 + 1e-12)


def tensors_of_many_shapes_walk_together(part: Metric, gs: list[Tensor]) -> None:
    """A bundle of different shapes is a loop as well."""
    _same_as_alone(part, gs, [Memory({})] * len(gs), Memory({}))


def no_other_direction_is_better(part: Metric, g: Tensor, ws: Iterable[Tensor], near: float) -> None:
    """Of many directions ws none has <g, w> > dual(g) norm(w), and the best of them comes as near as that."""
    none, many = Memory({}), Bundle(ws)
    won = inner(Bundle([g] * len(many)), many) / part.norm(many, none, T)
    dual = part.dual(g, none, T)
    assert (1 - near) * dual <= won.max() <= (1 + 1e-9) * dual


# --- of metrics of matrices -------------------------------------------------------------------------------------------


def a_stack_is_a_loop(part: Metric, stack: Tensor) -> None:
    """Every matrix has its own direction; the longest has the stack's norm, and the duals add up (max of norms)."""
    none, matrices = Memory({}), stack.reshape(-1, *stack.shape[-2:]).unbind()
    alone = [part.direction(x, none, T) for x in matrices]
    assert_close(part.direction(stack, none, T), torch.stack(alone).view_as(stack))
    norms, duals = (torch.cat([f(x, none, T) for x in matrices]) for f in (part.norm, part.dual))
    squares = part.linear  # the sum of squares over the stack, where a direction is as long as the gradient
    assert_close(part.norm(stack, none, T), norms.norm()[None] if squares else norms.max()[None])
    assert_close(part.dual(stack, none, T), duals.norm()[None] if squares else duals.sum()[None])


def orthogonal_changes_of_basis_pass_through(part: Metric, g: Tensor) -> None:
    """direction(P g Q) = P direction(g) Q for orthogonal P and Q: only singular values matter."""
    p, q = (torch.linalg.qr(torch.randn(n, n, dtype=g.dtype, generator=_seeded(n)))[0] for n in g.shape[-2:])
    _passes_through(part, g, lambda x: p @ x @ q)


def rows_may_be_permuted_and_turned(part: Metric, g: Tensor) -> None:
    """direction(P g D) = P direction(g) D for permutations P and D, with signs."""
    m, n = g.shape[-2:]
    rows, columns = torch.randperm(m, generator=_seeded(m)), torch.randperm(n, generator=_seeded(n))
    signs = torch.randn(m, n, dtype=g.dtype, generator=_seeded(1)).sign()
    _passes_through(part, g, lambda x: x[..., rows, :][..., columns] * signs[:, :1] * signs[:1])


def _passes_through(part: Metric, g: Tensor, f) -> None:  # type: ignore[no-untyped-def]
    none = Memory({})
    assert_close(part.direction(f(g), none, T), f(part.direction(g, none, T)), rtol=1e-7, atol=1e-9)
    for measure in (part.norm, part.dual):
        assert_close(measure(f(g), none, T), measure(g, none, T))


def _seeded(n: int) -> torch.Generator:
    return torch.Generator().manual_seed(n)
