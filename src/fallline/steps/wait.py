"""No step before a metric knows something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Step


@final
@dataclass(frozen=True)
class Wait(Step):
    """The group's lr after the first steps, 0 until then (SOAP): size = lr [t > steps]. So nothing decays there, too.

    Memory: none. Units: those of the metric's direction. steps >= 1.

    >>> import torch
    >>> u = torch.ones(2)
    >>> [float(Wait().size(0.1, u, u, Memory({}), torch.tensor(float(n)))) for n in (1, 2)]
    [0.0, 0.1]
    """

    steps: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"Invalid steps: {self.steps}; wait for 1 or more, or use Constant().")

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr, or 0."""
        return torch.as_tensor(lr, dtype=t.dtype, device=t.device) * (t > self.steps)
