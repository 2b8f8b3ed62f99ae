"""Laws of write rules: what was not moved does not move, and what was moved lands on a neighbour."""

from __future__ import annotations

import torch
from torch import Tensor

from fallline.core.field import Bundle
from fallline.core.memory import Memory
from fallline.core.write import Write

T = torch.tensor(3.0, dtype=torch.float64)
WIDE = torch.float32


def moved(p: Tensor) -> Tensor:
    """Somewhere between the numbers that weights like p can be, some further away."""
    w = p.to(WIDE)
    return w * (1 + 0.01 * torch.randn(w.shape, generator=torch.Generator().manual_seed(2)))


def truncated(w: Tensor) -> tuple[Tensor, Tensor]:
    """The two bfloat16 numbers around w, toward zero and away from it."""
    bits = w.view(torch.int32)
    inner = bits & -0x10000
    outer = torch.where(bits == inner, inner, inner + 0x10000)
    return inner.view(WIDE), outer.view(WIDE)


def what_does_not_move_stays(part: Write, p: Tensor) -> None:
    """Opened and closed at once, weights keep every bit, also after they were moved and rounded."""
    mem = Memory(part.memory(p))
    for _ in range(2):
        before = p.clone()
        part.close(p, part.open(p, WIDE, mem, T), mem, T)
        assert torch.equal(p, before)
        part.close(p, moved(p), mem, T)


def the_result_is_a_neighbour(part: Write, p: Tensor) -> None:
    """One of the two numbers around the true one, and it itself where it is one."""
    w, mem = moved(p), Memory(part.memory(p))
    part.close(p, w, mem, T)
    assert p.dtype is torch.bfloat16 and all(((p == a) | (p == b)).all() for a, b in [truncated(w)])


def the_opened_is_no_further_than_the_weights(part: Write, p: Tensor) -> None:
    """What a rule remembers of rounding helps: |open - w| <= |theta - w|. The weights are not opened in place."""
    w, mem = moved(p), Memory(part.memory(p))
    part.close(p, w, mem, T)
    opened = part.open(p, WIDE, mem, T)
    assert opened.dtype is WIDE and opened.data_ptr() != p.data_ptr()
    assert bool(((opened - w).abs() <= (p - w).abs()).all())


def what_is_not_finite_passes(part: Write, p: Tensor) -> None:
    """Infinity, its negative, and NaN of any payload."""
    bad = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0])
    bad[3:].view(torch.int32).fill_(0x7FFFFFFF)
    q = torch.zeros(4, dtype=torch.bfloat16)
    part.close(q, bad, Memory(part.memory(q)), T)
    assert q[:2].tolist() == [torch.inf, -torch.inf] and bool(q[2:].isnan().all())


def a_bundle_is_a_loop(part: Write, p: Tensor) -> None:
    """Tensors that are written together land as each alone."""
    pairs = [[x.clone() for x in (p, 2 * p)] for _ in range(2)]
    memories = [[part.memory(x) for x in pair] for pair in pairs]
    together = Memory({name: Bundle([m[name] for m in memories[1]]) for name in memories[1][0]})
    both = Bundle(pairs[1])
    for _ in range(2):
        for x, mem in zip(pairs[0], map(Memory, memories[0]), strict=True):
            part.close(x, part.open(x, WIDE, mem, T).mul(1.003), mem, T)
        part.close(both, part.open(both, WIDE, together, T).mul(1.003), together, T)
    assert all(torch.equal(x, y) for x, y in zip(*pairs, strict=True))
    assert all(torch.equal(a[k], b[k]) for a, b in zip(*memories, strict=True) for k in a)


LAWS = (
    what_does_not_move_stays,
    the_result_is_a_neighbour,
    the_opened_is_no_further_than_the_weights,
    what_is_not_finite_passes,
    a_bundle_is_a_loop,
)
