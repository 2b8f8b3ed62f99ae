"""The two sides of a matrix: Gram matrices of gradients `[..., m, m]` and `[..., n, n]`, and what is made of them.

A side that is not learned is remembered as `[..., 1, 1]` and left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..core.field import Field, each, inner, tensors_of
from ..core.memory import Memory
from ..core.part import Preconditioner


@dataclass(frozen=True)
class TwoSided(Preconditioner):
    """A preconditioner that is one matrix for the rows and one for the columns: direction(U) = A U B.

    D = A^-1 (x) B^-1, of every matrix of a stack for itself. Memory: A and B are `left_root` and `right_root`.
    """

    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """A U B."""
        return each(between, mem.left_root, u, mem.right_root)

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<X, A^-1 Y B^-1>, without what A and B leave out."""
        return inner(a, each(_undo, mem.left_root, b, mem.right_root))

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """tr A tr B."""
        return torch.stack([_trace(*row) for row in rows(g, mem, "left_root", "right_root")]).double()


def rows(g: Field, mem: Memory, *names: str) -> Iterator[tuple[Tensor, ...]]:
    """Tensor by tensor: a gradient, and what is remembered of it."""
    yield from zip(tensors_of(g), *(tensors_of(mem[name]) for name in names), strict=True)


def square(p: Tensor, n: int, learned: bool, value: float = 0.0) -> Tensor:
    """What is remembered of a side of length n: `value` times the identity."""
    eye = torch.eye(n if learned else 1, dtype=p.dtype, device=p.device) * value
    return eye.expand(*p.shape[:-2], *eye.shape).clone()


def gram_(a: Tensor, x: Tensor, keep: float, weight: float) -> None:
    """A <- keep A + weight X X^T, if this side is learned. A product may overflow: no difference is taken."""
    if a.shape[-1] == x.shape[-2]:
        a.mul_(keep).add_(x @ x.mT, alpha=weight)


def between(left: Tensor, x: Tensor, right: Tensor) -> Tensor:
    """left X right, without the sides that are not learned."""
    x = left @ x if left.shape[-1] == x.shape[-2] else x
    return x @ right if right.shape[-1] == x.shape[-1] else x


def due(n: int, every: int) -> bool:
    """Whether step n is the first, or `every` steps after the last that was due."""
    return (n - 1) % every == 0


def check_learning(beta: float, every: int, largest: int, summed: bool = False) -> None:
    """Raise unless the decay, the period and the longest side make sense."""
    if not (0.0 <= beta < 1.0 or (summed and beta == 1.0)):
        raise ValueError(f"Invalid beta: {beta!r}; a decay factor lies in [0, 1){', and 1 sums' if summed else ''}.")
    if every < 1 or largest < 1:
        raise ValueError(f"Invalid every={every} or largest={largest}: a number of steps and a length, 1 or more.")


def eigh(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors of a symmetric positive semidefinite stack.

    What is not finite counts as 0: a step that is undone afterwards must not raise. Where LAPACK or cuSOLVER does not
    converge it is asked once more in float64 on the CPU.
    """
    a = a.nan_to_num(0.0, 0.0, 0.0)
    try:
        values, q = torch.linalg.eigh(a)
    except RuntimeError:  # a LinAlgError, or no memory for the workspace
        values, q = (x.to(a) for x in torch.linalg.eigh(a.double().cpu()))
    return values, q


def _undo(left: Tensor, x: Tensor, right: Tensor) -> Tensor:
    return between(torch.linalg.pinv(left, hermitian=True), x, torch.linalg.pinv(right, hermitian=True))


def _trace(g: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Of the whole stack; a side that is not learned has the identity's."""
    sides = zip((left, right), g.shape[-2:], strict=True)
    of_rows, of_columns = (a.diagonal(dim1=-2, dim2=-1).sum(-1) if a.shape[-1] == k else k for a, k in sides)
    return torch.as_tensor(of_rows * of_columns, dtype=g.dtype, device=g.device).expand(g.shape[:-2]).sum()
