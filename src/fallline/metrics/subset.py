"""Second moments of whole groups of coordinates: less to remember."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each, inner, total
from ..core.memory import Memory
from ..core.part import Preconditioner
from .diagonal import check_squares


@final
@dataclass(frozen=True)
class SubsetNorm(Preconditioner):
    """A coordinate costs what the gradient of its group usually measures: one number per group (Subset-Norm).

        v_S = beta v_S + (1 - beta) sum_{i in S} g_i^2        D_i = sqrt(v_S / (1 - beta^n)) + eps  for i in S

    The sum, not the mean, so lr is about sqrt(|S|) times Adam's. Groups: chunk=None, the rows of a tall matrix and the
    columns of a wide one, so one number for each index of the longer side; a number, that many neighbours, or the
    largest divisor below. beta = 1 sums without correction (AdaGrad; one group: its norm form). Memory: `v`, a number
    per group of every matrix. Reference: Nguyen & Nguyen, arXiv 2411.07120 and its public code.

    >>> {name: tuple(x.shape) for name, x in SubsetNorm().memory(torch.empty(100, 3)).items()}
    {'v': (100, 1)}
    """

    beta: float = 0.999
    eps: float = 1e-8
    chunk: int | None = None
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_squares(self.beta if self.beta != 1 else 0.0, self.eps)
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"Invalid chunk: {self.chunk!r}; a group has one coordinate or more.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """A number per group."""
        return {"v": torch.zeros_like(self._squares(p))}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- beta v + (1 - beta) sum g^2."""
        weight = 1 - self.beta if self.beta < 1 else 1.0
        each(lambda v, x: v.mul_(self.beta).add_(self._squares(x), alpha=weight), mem.v, g)

    def _cut(self, x: Tensor) -> Tensor:
        """x with its groups side by side, [..., groups, coordinates], where they are not its rows or columns."""
        return x.flatten(-2).unflatten(-1, (-1, divisor(x.shape[-2] * x.shape[-1], self.chunk))) if self.chunk else x

    def _squares(self, x: Tensor) -> Tensor:
        tall = self.chunk or x.shape[-2] >= x.shape[-1]
        return self._cut(x).square().sum(-1 if tall else -2, keepdim=True)

    def _cost(self, x: Tensor, v: Tensor, t: Tensor) -> Tensor:
        known = 1 - self.beta**t if self.beta < 1 else 1.0
        return ((v / known).sqrt() + self.eps).expand_as(self._cut(x)).reshape(x.shape)

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u / D."""
        return each(lambda x, v: x / self._cost(x, v, t), u, mem.v)

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<a, D b>."""
        return inner(a, each(lambda x, v: x * self._cost(x, v, t), b, mem.v))

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum_i 1 / D_i."""
        return total(each(lambda x, v: 1 / self._cost(x, v, t), g, mem.v))


def divisor(n: int, most: int) -> int:
    """The largest divisor of n that is not above `most`."""
    return next(d for d in range(min(n, most), 0, -1) if n % d == 0)
