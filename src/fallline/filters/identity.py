"""No memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Filter


@final
@dataclass(frozen=True)
class Identity(Filter):
    """The gradient as it comes: u_n = g_n.

    As a causal filter: q = (1, 0, 0, ...). Memory: none.

    >>> Identity().taps(3).tolist()
    [1.0, 0.0, 0.0]
    """

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """Nothing."""

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """g."""
        return g

    def taps(self, n: int) -> Tensor:
        """1, then zeros."""
        return torch.eye(1, n, dtype=torch.float64)[0]

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def momentum(self, mem: Memory) -> float:
        """0."""
        return 0.0
