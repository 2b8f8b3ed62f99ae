"""Laws of combines: weights that walk together walk as alone, and a move of nothing changes what it says it does."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.core.field import Bundle
from fallline.core.memory import Memory
from fallline.core.part import Combine


def clock(n: int) -> Tensor:
    """The number of a step as the engine gives it."""
    return torch.tensor(float(n), dtype=torch.float64)


def bundled(memories: list[Memory], names: list[str]) -> Memory:
    """The memories of several tensors as one; a number without a dimension is a clock that all share."""
    held = {name: [mem[name] for mem in memories] for name in names}
    return Memory({name: Bundle(xs) if xs[0].dim() else xs[0] for name, xs in held.items()})


def stepped(part: Combine, p: Tensor, u: Tensor, mem: Memory, n: int, lr: float = 0.1) -> Tensor:
    """One step from p along what the part lets a Euclidean metric see of u."""
    w = p.clone()
    seen = part.tangent(part.gradient(u, w, mem, clock(n)), w, mem, clock(n))
    part.enter(w, seen.mul(-lr), lr, mem, clock(n))
    return w


def a_bundle_is_a_loop(part: Combine, ps: list[Tensor], us: list[Tensor]) -> None:
    """Tensors that walk together move exactly as each alone, and so does what is remembered."""
    alone = [Memory(part.memory(p)) for p in ps]
    names = list(part.memory(ps[0]))
    together = bundled([Memory(part.memory(p)) for p in ps], names)
    w, ws = Bundle([p.clone() for p in ps]), [p.clone() for p in ps]
    for n in (1, 2, 3):
        ws = [stepped(part, p, u, mem, n) for p, u, mem in zip(ws, us, alone, strict=True)]
        seen = part.tangent(part.gradient(Bundle(us), w, together, clock(n)), w, together, clock(n))
        part.enter(w, seen.mul(-0.1), 0.1, together, clock(n))
    assert all(torch.equal(a, b) for a, b in zip(ws, w, strict=True))
    for name in names:
        x = together[name]
        assert all(torch.equal(mem[name], x[i] if isinstance(x, Bundle) else x) for i, mem in enumerate(alone))


def a_zero_move_leaves_the_weights(part: Combine, ps: list[Tensor], us: list[Tensor]) -> None:
    """Without decay and a move nothing changes, up to rounding."""
    for p in ps:
        mem, w = Memory(part.memory(p)), p.clone()
        for n in (1, 2):
            part.enter(w, torch.zeros_like(w), 0.0, mem, clock(n))
        assert_close(w, p)


def the_gradient_is_not_written_to(part: Combine, ps: list[Tensor], us: list[Tensor]) -> None:
    """u belongs to the filter or the user."""
    for p, u in zip(ps, us, strict=True):
        before = u.clone()
        stepped(part, p, u, Memory(part.memory(p)), 1)
        assert torch.equal(u, before)


def the_first_order_is_the_move(part: Combine, ps: list[Tensor], us: list[Tensor]) -> None:
    """For a small lr the weights go where the direction that the metric saw points: <dW, -seen> > 0."""
    for p, u in zip(ps, us, strict=True):
        mem = Memory(part.memory(p))
        seen = part.tangent(u, p.clone(), mem, clock(1))
        w = p.clone()
        part.enter(w, seen.mul(-1e-5), 1e-5, mem, clock(1))
        assert ((w - p) * seen).sum() < 0


LAWS = (
    a_bundle_is_a_loop,
    a_zero_move_leaves_the_weights,
    the_gradient_is_not_written_to,
    the_first_order_is_the_move,
)
