"""Averages inside the optimizer: gradients between the weights that move and their average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, lerp, lerp_, many
from ..core.memory import Memory
from ..core.part import Combine


@final
@dataclass(frozen=True)
class PrimalAverage(Combine):
    """No schedule and no horizon: steps move z, x is its average, and gradients are taken in between (schedule-free).

        y_n = (1 - b) z_n + b x_n        z_{n+1} = z_n - size (d_n + decay y_n)
        w_n = n^r (max_k size_k)^p       x_{n+1} = x_n + w_n / (sum_k w_k) (z_{n+1} - x_n)

    with d_n made of gradients at y_n, which the parameters hold; `opt.eval()` lays x into them. Where a size is not one
    number for all, p counts as 0. Memory: `z`, like the parameter; `sum`, `peak`, once; x is solved from y and z. b in
    (0, 1], 1: gradients at the average (primal averaging). Of b -> 0, SGD with Polyak's average, see `Averaged`.
    Reference: Defazio et al., arXiv 2405.15682.

    >>> y, t = torch.zeros(1), torch.tensor(1.0, dtype=torch.float64)
    >>> mem = Memory(PrimalAverage(0.9).memory(y))
    >>> PrimalAverage(0.9).enter(y, torch.ones(1), 1.0, mem, t); y, mem.z
    (tensor([1.]), tensor([1.]))
    """

    beta: float = 0.9
    decay: float = 0.0
    r: float = 0.0
    p: float = 2.0
    ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.beta, (int, float)) and 0.0 < self.beta <= 1.0):
            raise ValueError(f"Invalid beta: {self.beta!r}; it lies in (0, 1]. For 0 take Averaged(Uniform()).")
        if not self.decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {self.decay}")
        if not (self.r >= 0.0 and self.p >= 0.0):
            raise ValueError(f"Invalid {self}: r and p are powers >= 0.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weights that move, and what the average's weights are made of."""
        zero = torch.zeros((), dtype=torch.float64, device=p.device)
        return {"z": p.detach().clone(), "sum": zero, "peak": zero.clone()}

    def moved(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """z."""
        return mem.z

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """z <- z + move - size decay y, x <- x + c (z - x), y <- (1 - b) z + b x, without a copy of x."""
        c = self._share(size, mem, t)
        move = move - p.mul(size).mul(self.decay) if self.decay else move
        lerp_(p, mem.z, c)
        p.add_(move.mul(1 - self.beta * (1 - c)))
        mem.z.add_(move)

    def _share(self, size: Field | float, mem: Memory, t: Tensor) -> Tensor:
        """w / sum w: 1 in the first step."""
        length = torch.ones_like(mem.peak) if many(size) else torch.ones_like(mem.peak) * size
        mem.peak.copy_(torch.maximum(mem.peak, length))
        w = t**self.r * mem.peak**self.p
        mem.sum.add_(w)
        return w / torch.where(mem.sum > 0, mem.sum, 1.0)

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """x = z + (y - z) / b."""
        return lerp(mem.z, p, 1 / self.beta)
