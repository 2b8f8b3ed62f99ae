"""The largest coordinate as norm: sign descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import Field, count, peaks, total
from ..core.memory import Memory
from ..core.part import Ball


@final
@dataclass(frozen=True)
class Sign(Ball):
    """norm(w) = max |w_i|, dual(g) = sum |g_i|, direction(u) = sign(u): every coordinate moves equally far.

    Memory: none. Units: lr is a weight per step, the same for every coordinate.
    Reference: Bernstein & Newhouse, arXiv 2409.20325 (Adam without averages).

    >>> import torch
    >>> from fallline.core.memory import Memory
    >>> Sign().direction(torch.tensor([-2.0, 0.0, 5.0]), Memory({}), torch.tensor(1.0)).tolist()
    [-1.0, 0.0, 1.0]
    """

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """sign(u)."""
        return u.sign()

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """max |w_i|."""
        return peaks(w)

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum |g_i|."""
        return total(g.abs())

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)
