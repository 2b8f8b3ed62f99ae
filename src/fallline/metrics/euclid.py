"""The Euclidean metric: the gradient is the steepest direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import Field, count, inner
from ..core.memory import Memory
from ..core.part import Preconditioner


@final
@dataclass(frozen=True)
class Euclid(Preconditioner):
    """Every coordinate costs the same: D = I, direction(u) = u, norm = dual = the 2-norm.

    Memory: none. Units: the direction has the gradient's, so lr is weight^2 per unit of loss (SGD's).

    >>> import torch
    >>> from fallline.core.memory import Memory
    >>> Euclid().dual(torch.tensor([3.0, 4.0]), Memory({}), torch.tensor(1.0)).tolist()
    [5.0]
    """

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u."""
        return u

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<a, b>."""
        return inner(a, b)

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """tr I, the number of coordinates."""
        return count(g)
