"""Momentum in a few directions only, and none in all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Filter
from ..statistics import response
from .average import check_decay


@final
@dataclass(frozen=True)
class SubspaceMomentum(Filter):
    """An average where gradients mostly lie, and the gradient itself in what is orthogonal to that (Subspace-Momentum).

        m <- b m + (1 - b) P^T G        U = P m / (1 - b^age) + (G - P P^T G)

    P: the `rank` leading singular vectors of the shorter side of G, anew in every `every`-th step, the first included;
    m then begins again, and age counts from there (the authors correct by all steps). It reads the clock, for which
    the host waits on CUDA. As a causal filter: EMA's taps inside, 1 outside. Memory: `basis` [..., min(m, n), rank],
    `m` [..., rank, max(m, n)]. Full rank is `EMA`, rank 0 no momentum. Reference: Nguyen & Nguyen, arXiv 2411.07120.

    >>> {name: tuple(x.shape) for name, x in SubspaceMomentum(rank=2).memory(torch.empty(9, 5)).items()}
    {'basis': (5, 2), 'm': (2, 9)}
    """

    beta: float = 0.9
    rank: int = 128
    every: int = 200
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_decay("beta", self.beta)
        if self.rank < 0 or self.every < 1:
            raise ValueError(f"Invalid rank {self.rank!r} or every {self.every!r}; they are at least 0 and 1.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The subspace, and the average in it."""
        *stack, short, long = (*p.shape[:-2], *sorted(p.shape[-2:]))
        rank = min(self.rank, short)
        return {"basis": p.new_zeros(*stack, short, rank), "m": p.new_zeros(*stack, rank, long)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """m <- b m + (1 - b) P^T G, after a new P and m = 0 where they are due."""
        if self._age(t) == 1:
            each(lambda basis, m, x: (basis.copy_(leading(_flat(x), m.shape[-2])), m.zero_())[0], mem.basis, mem.m, g)
        each(lambda basis, m, x: m.lerp_(basis.mT @ _flat(x), 1 - self.beta), mem.basis, mem.m, g)

    def _age(self, t: Tensor) -> int:
        return (int(t) - 1) % self.every + 1

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """P m / (1 - b^age) + (G - P P^T G)."""
        known = 1 - self.beta ** self._age(t)
        return each(lambda basis, m, x: _like(basis @ (m / known - basis.mT @ _flat(x)), x) + x, mem.basis, mem.m, g)

    def taps(self, n: int) -> Tensor:
        """EMA's, inside the subspace."""
        age = (n - 1) % self.every + 1
        q = response.taps(self.beta, 1.0, n) / (1 - self.beta**age)
        return q * (torch.arange(n) < age)

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def momentum(self, mem: Memory) -> float:
        """beta."""
        return self.beta


def leading(x: Tensor, rank: int) -> Tensor:
    """The leading left singular vectors of a stack, orthonormal also where x has none."""
    x = x.nan_to_num(0.0, 0.0, 0.0)  # a step that is undone afterwards must not raise
    return torch.linalg.eigh(x @ x.mT).eigenvectors[..., x.shape[-2] - rank :].flip(-1)


def _flat(x: Tensor) -> Tensor:
    """The matrix or its transpose, whichever is wide."""
    return x if x.shape[-2] <= x.shape[-1] else x.mT


def _like(y: Tensor, x: Tensor) -> Tensor:
    return y if y.shape == x.shape and x.shape[-2] <= x.shape[-1] else y.mT
