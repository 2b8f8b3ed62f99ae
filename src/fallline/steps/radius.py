"""A step length that differs from role to role by a fixed factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Step


@final
@dataclass(frozen=True)
class Radius(Step):
    """lr times the radius of the ball that a role's directions come from: size = lr rho (unconstrained Scion).

    Memory: none. rho > 0. Units: the metric's norm per step, times rho. Reference: Pethick et al., arXiv 2502.07529.

    >>> import torch
    >>> u = torch.ones(2)
    >>> Radius(50.0).size(0.5, u, u, Memory({}), torch.tensor(1.0))
    25.0
    """

    radius: float

    def __post_init__(self) -> None:
        if not isinstance(self.radius, (int, float)) or not 0.0 < self.radius < float("inf"):
            raise ValueError(
                f"Invalid radius: {self.radius!r}; a ball has a radius > 0, in units of the metric's norm."
            )

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr rho."""
        return lr * self.radius
