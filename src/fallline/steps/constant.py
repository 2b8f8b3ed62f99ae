"""The step length that the user and the scheduler set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Step


@final
@dataclass(frozen=True)
class Constant(Step):
    """The group's lr, so that every torch scheduler drives it. Memory: none. Units: those of the metric's direction.

    >>> import torch
    >>> u = torch.ones(2)
    >>> Constant().size(0.1, u, u, Memory({}), torch.tensor(1.0))
    0.1
    """

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr."""
        return lr
