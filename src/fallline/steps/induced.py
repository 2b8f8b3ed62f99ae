"""Steps measured along the graph of the loss: where it is steep, the same step is a longer way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import over
from ..core.memory import Memory, number, numbers
from .length import _Dual, dual


@dataclass(frozen=True)
class _Graph(_Dual):
    """The average of xi N'(g)^2, unbiased."""

    xi: float = 0.1
    beta: float = 0.8
    scope: ClassVar[str] = "global"

    def __post_init__(self) -> None:
        if not (self.xi >= 0.0 and 0.0 <= self.beta < 1.0):
            raise ValueError(f"Invalid {self}: xi >= 0, and beta, a decay factor, lies in [0, 1).")

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`average` and `mass`, the sum of its weights."""
        return numbers(dict.fromkeys(("factor", "average", "mass"), 0.0), device)

    def steepness(self, measured: Tensor, mem: Memory) -> tuple[Tensor, Tensor]:
        """The average, and the direction's stretch."""
        square, stretch = dual(measured)
        mem.average.mul_(self.beta).add_(square * (self.xi * (1 - self.beta)))
        mem.mass.mul_(self.beta).add_(1 - self.beta)
        return mem.average / mem.mass, stretch


@final
@dataclass(frozen=True)
class InducedStep(_Graph):
    """Steepest descent in the metric that the graph of the loss has in the space around it: a smooth clipping.

        size = lr / (1 + avg(xi N'(g)^2)),    from    (D + xi g g^T)^-1 g = D^-1 g / (1 + xi N'(g)^2)

    avg is an unbiased exponential average. xi = 0 is Constant(); a steep loss gives steps of length ~ lr / (xi N'(g)).
    Any metric D: with SecondMoment it is the published "rms" form. A ball's direction is stretched to length N'(g)
    (derived). Memory: `factor`, `average`, `mass`, once. Units: xi is length^2 / loss^2. Reference: "The Optimiser
    Hidden in Plain Sight" and its public code.

    >>> print(InducedStep(0.1))
    InducedStep(0.1)
    """

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """factor <- 1 / (1 + avg)."""
        steep, stretch = self.steepness(measured, mem)
        mem.factor.copy_(stretch / (1 + steep))


@final
@dataclass(frozen=True)
class InducedLogStep(_Graph):
    """`InducedStep` on the graph of log(loss): size = lr f / (f^2 + avg(xi N'(g)^2)), 0 where f <= 0.

    Memory: `loss`, too. Units: lr is length^2, xi length^2 per unit of log(loss)^2. Reference: as `InducedStep`.

    >>> print(InducedLogStep(0.1))
    InducedLogStep(0.1)
    """

    hears: ClassVar[bool] = True

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`loss`, as it was heard, besides."""
        return _Graph.decisions(self, device) | {"loss": number(0.0, device)}

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """factor <- f / (f^2 + avg)."""
        steep, stretch = self.steepness(measured, mem)
        f = mem.loss.clamp(min=0.0)
        mem.factor.copy_(stretch * over(f, f.square() + steep))
