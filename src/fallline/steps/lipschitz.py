"""A step from what gradients changed by on the last step: AdGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser, check_start
from ..core.field import Field
from ..core.memory import Memory, numbers
from ..core.part import Step
from ..core.turn import closing, opening, pick


@final
@dataclass(frozen=True)
class AdGDStep(Step, Chooser):
    """Half of one over the curvature met on the last step, in the metric's norm N, and no leap upwards.

        eta_k = min(sqrt(1 + theta_{k-1}) eta_{k-1}, N(x_k - x_{k-1}) / (2 N'(g_k - g_{k-1})))
        theta_k = eta_k / eta_{k-1}

    The second alone in step 2, where theta is infinite. Norms are over all parameters, the root of the sum of squares.
    The way is the last step taken: decay is not part of it. For full batches: the difference of two batches counts as
    curvature, and eta shrinks without end. of: gradients in a step, 2 with `Probed`. lr: a factor around 1. Memory:
    `way`, `g`, like the parameter; `eta`, `theta`, once. Units: start is in the metric's, weight^2 per unit of loss for
    Euclid(). Reference: Malitsky & Mishchenko, arXiv 1910.09529; in a metric, OASIS, arXiv 2109.05198.

    >>> print(AdGDStep(1e-3))
    AdGDStep(0.001)
    """

    start: float = 1e-6
    of: int = 1
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_start(self.start, "the first step size is > 0, and is soon forgotten")
        if self.of not in (1, 2):
            raise ValueError(f"Invalid of: {self.of!r}; a step takes 1 gradient, or 2 with Probed().")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The last step, and the gradient that it was taken for; in between, the change of gradients."""
        return {"way": torch.zeros_like(p), "g": torch.zeros_like(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`eta` and `theta`."""
        return numbers({"eta": self.start, "theta": torch.inf}, device)

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """g <- g_k - g_{k-1}."""
        mem.g.copy_(pick(opening(t, self.of), g - mem.g, mem.g))

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """N(x_k - x_{k-1})^2 and N'(g_k - g_{k-1})^2; nothing before the last gradient of the step is there."""
        seen = torch.cat([aim.squares(mem.way), aim.dual_squares(mem.g)], -1)
        return torch.where(closing(t, self.of), seen, 0.0)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """eta and theta; as they were where nothing has moved yet, or nothing has changed."""
        way, change = measured.unbind(-1)
        grown = (1 + mem.theta).sqrt() * mem.eta
        eta = torch.minimum(grown, (way / change).sqrt() / 2)
        known = (way > 0) & eta.isfinite()
        mem.theta.copy_(torch.where(known, eta / mem.eta, mem.theta))
        mem.eta.copy_(torch.where(known, eta, mem.eta))

    def scale(self, mem: Memory) -> Field | float:
        """eta."""
        return mem.eta

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr eta; it keeps what was stepped for, and how far."""
        last = closing(t, self.of)
        mem.g.copy_(pick(last, u, mem.g))
        mem.way.copy_(pick(last, d.mul(mem.eta * lr), mem.way))
        return mem.eta * lr
