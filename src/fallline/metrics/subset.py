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

    The sum, not the mean, so that lr is about sqrt(|S|) times Adam's. Groups: chunk=None, one for each index of a
    weight's longer side of (first, all others), and single coordinates in vectors; a number, that many neighbours in
    memory, or the largest divisor below. beta = 1 sums without correction (AdaGrad; one group: its norm form). Memory:
    `v`, a number per group. Reference: Nguyen & Nguyen, arXiv 2411.07120 and its public code.

    >>> import torch
    >>> {name: tuple(x.shape) for name, x in SubsetNorm().memory(torch.empty(100, 3)).items()}
    {'v': (100, 1)}
    """

    beta: float = 0.999
    eps: float = 1e-8
    chunk: int | None = None
    elementwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_squares(self.beta if self.beta != 1 else 0.0, self.eps)
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"Invalid chunk: {self.chunk!r}; a group has one coordinate or more.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """A number per group."""
        return {"v": torch.zeros_like(squares(self._cut(p)))}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- beta v + (1 - beta) sum g^2."""
        weight = 1 - self.beta if self.beta < 1 else 1.0
        each(lambda v, x: v.mul_(self.beta).add_(squares(self._cut(x)), alpha=weight), mem.v, g)

    def _cut(self, x: Tensor) -> Tensor:
        """x as its groups lie: [groups, in a group], [in a group, groups], or its numbers in a row."""
        return x.reshape(-1, divisor(x.numel(), self.chunk)) if self.chunk else x.reshape(len(x), -1)

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


def squares(x: Tensor) -> Tensor:
    """Sums of squares over the shorter side of a matrix."""
    return x.square().sum(int(x.shape[0] >= x.shape[1]), keepdim=True)


def divisor(n: int, most: int) -> int:
    """The largest divisor of n that is not above `most`."""
    return next(d for d in range(min(n, most), 0, -1) if n % d == 0)
