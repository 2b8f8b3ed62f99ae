"""The best weights that were met are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, count
from ..core.memory import Memory, numbers
from ..core.part import Combine
from ..core.turn import pick
from .around import AroundCombine
from .decay import Decoupled

PLAIN = Decoupled()


@final
@dataclass(frozen=True)
class Best(AroundCombine, Chooser):
    """Another combine, and a copy of the weights at which the loss was lowest, for `opt.eval()` to lay down.

        best <- x_n where f(x_n) < low,    low <- min(low, f(x_n)),    x_{n+1} = combine(x_n, -step d_n)

    f is the loss that the step hears; of small batches it is the luckiest, not the best. combine: one without memory.
    Memory: `best`, like the parameter; `loss`, `low`, `better`, once.

    >>> print(Best())
    Best(Decoupled(0.0))
    """

    combine: Combine = PLAIN
    ahead: ClassVar[bool] = True
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    hears: ClassVar[bool] = True
    spends: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if type(self.combine).memory is not Combine.memory or self.combine.matrix or self.combine.walks > 1:
            raise ValueError(f"Best cannot keep weights moved by {self.combine}, which remembers; take Decoupled().")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The best weights."""
        return {"best": p.detach().clone()}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """The loss, the lowest so far, and whether this one is lower."""
        return numbers({"loss": 0.0, "low": torch.inf, "better": 0.0}, device)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """Nothing: the loss says it all."""
        return count(g)[:, None]

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """better <- loss < low."""
        mem.better.copy_(mem.loss < mem.low)
        mem.low.copy_(torch.minimum(mem.low, mem.loss))

    def fade(self, p: Field, lr: float | Tensor, mem: Memory, t: Tensor) -> None:
        """best <- p if it is better, before anything moves; then the combine's."""
        mem.best.copy_(pick(mem.better > 0, p, mem.best))
        self.combine.fade(p, lr, mem, t)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """The combine's."""
        self.combine.enter(p, move, size, mem, t)

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """The best."""
        return mem.best
