"""Step lengths from the norms of gradients: one number, or one per column, for each matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Step
from ..statistics.average import unbiased

BOTH, ROWS = (-2, -1), (-2,)  # over which axes a norm is taken: one per matrix, one per column


def sizes(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Lengths of matrices, [..., 1, 1], or of columns, [..., 1, n]."""
    return x.square().sum(dims, keepdim=True).sqrt()


@final
@dataclass(frozen=True)
class AdaGradNorm(Step):
    """The longer the way that the gradients have gone, the shorter the step (AdaGO).

        v_n^2 = v_{n-1}^2 + min(norm(G_n), gamma)^2        size = lr max(floor, min(norm(G_n), gamma) / v_n)

    Memory: `sum` (v^2) and `last` (min(norm(G), gamma)), a number per matrix. Units: those of the direction. Gradients
    of equal norm give lr / sqrt(n). gamma: what a norm counts at most. floor: in units of lr, so that a schedule drives
    it too (published: 5e-4 at lr .05). start: v_0. Reference: arXiv 2509.02981.

    >>> g, t, step = torch.tensor([[3.0, 4.0]]), torch.tensor(1.0), AdaGradNorm()
    >>> mem = Memory(step.memory(g))
    >>> step.observe(0.1, g, mem, t); step.observe(0.1, g, mem, t); step.size(0.1, g, g, mem, t)
    tensor([[0.0707]])
    """

    gamma: float = 10.0
    floor: float = 0.01
    start: float = 1e-6
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.gamma > 0.0 or not self.floor >= 0.0 or not self.start > 0.0:
            raise ValueError(f"Invalid {self}: gamma and start must be positive, floor must not be negative.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """v_0^2, and nothing seen yet."""
        one = p.new_ones(*p.shape[:-2], 1, 1)
        return {"sum": one * self.start**2, "last": one * 0.0}

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """v^2 <- v^2 + min(norm(G), gamma)^2."""
        each(lambda last, x: last.copy_(sizes(x, BOTH).clamp(max=self.gamma)), mem.last, g)
        mem.sum.add_(mem.last.square())

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr max(floor, min(norm(G), gamma) / v)."""
        return each(lambda last, total: (last / total.sqrt()).clamp(min=self.floor) * lr, mem.last, mem.sum)


@dataclass(frozen=True)
class _Ratio(Step):
    """What the steps of NAMO have in common: Adam's ratio of averages, of norms instead of entries."""

    momentum: float
    beta: float = 0.99
    eps: float = 1e-8
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True
    dims: ClassVar[tuple[int, ...]] = BOTH

    def __post_init__(self) -> None:
        if not 0.0 <= self.momentum < 1.0 or not 0.0 <= self.beta < 1.0:
            raise ValueError(f"Invalid {self}: decay factors lie in [0, 1).")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squared norms."""
        return {"v": torch.zeros_like(sizes(p, self.dims))}

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- b v + (1 - b) norm(G)^2."""
        each(lambda v, x: v.lerp_(sizes(x, self.dims).square(), 1 - self.beta), mem.v, g)

    def _lead(self, lr: float | Tensor, t: Tensor) -> float | Tensor:
        return lr * unbiased((self.momentum, self.beta), t)

    def _ratio(self, u: Tensor, v: Tensor) -> Tensor:
        return sizes(u, self.dims) / (v.sqrt() + self.eps)


@final
@dataclass(frozen=True)
class NormRatio(_Ratio):
    """The more alike the gradients of late, the longer the step (NAMO): Adam's step with norms for entries.

        v <- b v + (1 - b) norm(G)^2        size = min(1, lr sqrt(1 - b^n) / (1 - mu^n) norm(U) / (sqrt(v) + eps))

    U is what the metric was asked; mu the momentum that made it, for the correction of its bias. Memory: `v`, a number
    per matrix. Units: those of the direction. Equal gradients give lr exactly, where U is a plain average; with
    Nesterov's look ahead the correction overshoots at first (1.95 lr, 1.46 lr, ...). Reference: arXiv
    2602.17080 and its public code.

    >>> g, t, step = torch.tensor([[3.0, 4.0]]), torch.tensor(1.0), NormRatio(0.5)
    >>> mem = Memory(step.memory(g))
    >>> step.observe(0.1, g, mem, t); step.size(0.1, g * 0.5, g, mem, t)
    tensor([[0.1000]])
    """

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """One number per matrix."""
        return each(lambda x, v: (self._ratio(x, v) * self._lead(lr, t)).clamp(max=1.0), u, mem.v)


@final
@dataclass(frozen=True)
class ColumnRatio(_Ratio):
    """`NormRatio` for every column of a matrix, none far from their mean (NAMO-D).

        c_j = norm(U_j) / (sqrt(v_j) + eps), clamped to [c mean(c), mean(c) / c]
        size_j = min(1, lr sqrt(1 - b^n) / (1 - mu^n) c_j)

    Memory: `v`, [..., 1, n]. near: c in (0, 1]; 1 gives all columns the mean. Reference: as NAMO.

    >>> g, t, step = torch.tensor([[3.0, 4.0]]), torch.tensor(1.0), ColumnRatio(0.5)
    >>> mem = Memory(step.memory(g))
    >>> step.observe(0.1, g, mem, t); step.size(0.1, torch.tensor([[1.5, 0.0]]), g, mem, t)
    tensor([[0.0667, 0.0375]])
    """

    near: float = 0.75
    dims: ClassVar[tuple[int, ...]] = ROWS

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """One number per column."""
        return each(lambda x, v: (self._clamped(self._ratio(x, v)) * self._lead(lr, t)).clamp(max=1.0), u, mem.v)

    def _clamped(self, c: Tensor) -> Tensor:
        mean = c.mean(-1, keepdim=True)
        return c.clamp(mean * self.near, mean / self.near)
