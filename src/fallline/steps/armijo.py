"""A trial step that stands if the loss falls enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, inner
from ..core.memory import Memory, numbers
from ..core.part import Step
from ..core.turn import opening


@final
@dataclass(frozen=True)
class Sufficient(Step, Chooser):
    """lr for a trial step; then 0 if it may stand, and lr if it is to be taken anew (Armijo's condition).

        f(x - lr d) <= f(x) - c lr <g, d>,    d = direction(g)

    One condition for all parameters, on the losses of both closures of the step, which must see the same batch. For a
    combine that takes two gradients, such as `Modelled`. c in (0, 1). Memory: `loss`, `before` (f(x)), `promised`
    (<g, d>), `again`, once. Units: lr as for Constant(). Reference: Armijo 1966.

    >>> print(Sufficient(0.5))
    Sufficient(0.5)
    """

    c: float = 0.1
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    hears: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.c < 1.0:
            raise ValueError(f"Invalid c: {self.c!r}; the share of the promised fall that is asked for lies in (0, 1).")

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """Both losses, the fall that was promised, and whether a step is to be taken."""
        return numbers({"loss": 0.0, "before": 0.0, "promised": 0.0, "again": 1.0}, device)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """lr <g, d> and 0 at the first point, 0 and 1 at the second."""
        promised, first = inner(g, aim.direction(g)) * aim.lr, opening(t)
        return torch.stack([torch.where(first, promised, 0.0), torch.where(first, 0.0, torch.ones_like(promised))], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """again <- whether the trial failed."""
        promised, second = measured[..., 0], measured[..., 1] > 0
        failed = mem.loss > mem.before - mem.promised * self.c
        mem.again.copy_(torch.where(second, failed.to(mem.again.dtype), 1.0))
        mem.before.copy_(torch.where(second, mem.before, mem.loss))
        mem.promised.copy_(torch.where(second, mem.promised, promised))

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr, or 0."""
        return mem.again * lr
