"""Weight decay after the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Combine


@final
@dataclass(frozen=True)
class Trailing(Combine):
    """Weights shrink after the step, and the step with them (SOAP): theta <- (1 - lr decay) (theta - lr d).

    `Decoupled` to first order in lr. decay >= 0, per unit of lr. Reference: the official code of SOAP.

    >>> import torch
    >>> p, t = torch.ones(1), torch.tensor(1.0)
    >>> Trailing(0.5).enter(p, torch.tensor([-0.2]), 0.1, Memory({}), t); p
    tensor([0.7600])
    """

    decay: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.decay, (int, float)) or not self.decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {self.decay}")

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- (1 - size decay) (p + move)."""
        p.add_(move)
        if self.decay:
            p.mul_(1 - size * self.decay)
