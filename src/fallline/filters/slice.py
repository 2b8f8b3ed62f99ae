"""Momentum of which only the heaviest slices are used, and the rest kept for later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Filter
from ..statistics import slice as slices


@final
@dataclass(frozen=True)
class SliceEF(Filter):
    """A sum of gradients that gives out its heaviest slices and forgets of them what it gave (error feedback).

        M <- M + G,    K = the ceil(fraction dim) slices of largest l1 norm,    u = M on K, else 0,
        M <- decay M on K

    As a causal filter: q_k = decay^k of a slice that is chosen at every step; fraction = 1 is a heavy ball. Memory:
    `m`, like the matrix. fraction in (0, 1], decay in [0, 1]. axis: slices are rows (-2), columns (-1), or counted
    along the shorter side (None). Reference: Dion2, arXiv 2512.16928 (`ef_decay`).

    >>> import torch
    >>> g, t = torch.tensor([[1.0, -2.0], [0.5, 0.5]]), torch.tensor(1.0)
    >>> mem = Memory(SliceEF(0.5, 0.9).memory(g))
    >>> SliceEF(0.5, 0.9).remember(g, mem, t); SliceEF(0.5, 0.9).output(g, mem, t).tolist()
    [[1.0, -2.0], [0.0, 0.0]]
    """

    fraction: float = 0.25
    decay: float = 0.95
    axis: int | None = None
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        slices.check_slices(self.fraction, self.axis)
        if not 0 <= self.decay <= 1:
            raise ValueError(f"Invalid decay: {self.decay!r}; what is kept of a used slice lies in [0, 1].")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The sum."""
        return {"m": torch.zeros_like(p)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """M <- M + G."""
        mem.m.add_(g)

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """M on K; then M <- decay M there."""
        return each(self._give, mem.m)

    def _give(self, m: Tensor) -> Tensor:
        at = slices.heaviest(m, self.fraction, self.axis)
        given = slices.put(slices.take(m, at, self.axis), at, m, self.axis)
        m.sub_(given, alpha=1 - self.decay)
        return given

    def taps(self, n: int) -> Tensor:
        """decay^k, where a slice is always chosen."""
        return self.decay ** torch.arange(n, dtype=torch.float64)

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1: what uses slices looks at their direction alone."""
        return torch.ones_like(t)

    def momentum(self, mem: Memory) -> float:
        """decay."""
        return self.decay
