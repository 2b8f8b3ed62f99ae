"""Momentum of the weights instead of the gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Combine


@final
@dataclass(frozen=True)
class Inertia(Combine):
    """Heavy-ball momentum after the step: what was moved last is moved again, whatever its size was.

        v_n = mu v_{n-1} - (1 - dampening) size d_n          theta <- theta + v_n

    With constant sizes it is the filter `HeavyBall` (without damping); with sizes that change, each gradient keeps the
    size that it was given: theta_{n+1} = theta_n - size_n d_n + mu (theta_n - theta_{n-1}). Memory: `v`, like the
    parameter. mu in [0, 1). Reference: Polyak 1964.

    >>> p, t = torch.zeros(1), torch.tensor(1.0)
    >>> mem = Memory(Inertia(0.5).memory(p))
    >>> for _ in range(2): Inertia(0.5).enter(p, torch.ones(1), 1.0, mem, t)
    >>> p
    tensor([2.5000])
    """

    mu: float = 0.9
    dampening: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.mu < 1.0 and 0.0 <= self.dampening <= 1.0):
            raise ValueError(f"Invalid {self}: mu lies in [0, 1), dampening in [0, 1].")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The last move."""
        return {"v": torch.zeros_like(p)}

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """v <- mu v + (1 - dampening) move, p <- p + v."""
        mem.v.mul_(self.mu).add_(move.mul(1 - self.dampening))
        p.add_(mem.v)
