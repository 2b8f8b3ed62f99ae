"""Small steps at first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.chooser import Chooser
from ..core.field import Bundle, Field
from ..core.memory import Memory, number
from ..core.part import Step
from .constant import Constant

CONSTANT = Constant()


@final
@dataclass(frozen=True)
class Warmup(Step):
    """Any step, at a learning rate that grows linearly over the first `steps` steps and then stays.

        lr_n = lr min(1, n / steps)

    Inside the optimizer, and not as a scheduler, where an average must know the sizes (schedule-free) or a decision the
    learning rate. n counts a parameter's own steps. step: one that measures nothing. steps >= 1.
    Memory: `warmth`, once, and the step's. Units: the step's.

    >>> import torch
    >>> from fallline import Decoupled, Descent, Identity, Rule, Sign
    >>> w = torch.nn.Parameter(torch.zeros(1))
    >>> opt = Descent([w], Rule(Identity(), Sign(), Warmup(4), Decoupled()), lr=0.1)
    >>> w.grad = torch.ones(1); opt.step(); w.data
    tensor([-0.0250])
    """

    steps: int
    step: Step = CONSTANT

    def __post_init__(self) -> None:
        if not (isinstance(self.steps, int) and self.steps >= 1):
            raise ValueError(f"Invalid warm-up: {self.steps!r}; give a number of steps >= 1, or no Warmup.")
        if not isinstance(self.step, Step) or isinstance(self.step, Chooser):
            raise ValueError(f"Warmup cannot hold back {self.step}; it takes a step that measures nothing.")

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        """As the step."""
        return self.step.elementwise

    @property
    def matrix(self) -> bool:  # type: ignore[override]
        """As the step."""
        return self.step.matrix

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The step's, and the factor that lr has now."""
        inner = {f"step.{name}": x for name, x in self.step.memory(p).items()}
        return {"warmth": number(0.0, p.device), **inner}

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """warmth <- min(1, n / steps), then the step's."""
        mem.warmth.copy_((t / self.steps).clamp(max=1.0))
        self.step.observe(mem.warmth * lr, g, mem.within("step"), t)

    def gradient(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """The step's."""
        return self.step.gradient(g, mem.within("step"), t)

    def scale(self, mem: Memory) -> Field | float:
        """The step's, at present."""
        found = self.step.scale(mem.within("step"))
        return found.mul(mem.warmth) if isinstance(found, Bundle) else mem.warmth * found

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """The step's, at lr_n."""
        return self.step.size(mem.warmth * lr, u, d, mem.within("step"), t)
