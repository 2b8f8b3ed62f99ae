"""The learning rate as the distance that the weights have come, corrected by how well the last step was aimed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, count, inner
from ..core.memory import Memory
from ..core.part import Step


@final
@dataclass(frozen=True)
class AnchoredStep(Step, Chooser):
    """A step as long as the way from the first weights, shrinking with time, longer while it falls short of the goal.

        r_n = max(floor, max_k rms(w_k - w_0))        c_n = cos(g_n, w_{n-2} - w_{n-1}), averaged with decay b
        h_n = h_{n-1} + kappa c_n, in [log low, log high]       size_n = lr r_n e^(h_n) / sqrt(n + delay)

    rms over all layers with such a step. A gradient that still points where the last step went says that this step was
    short (the hypergradient of log size); one that points back, that it was long. Memory: `begin`, `last`, like the
    parameter; single numbers, once. Units: the metric's directions have an RMS of about 1, or .2 for matrices; lr is a
    factor around 1. Reference: ours, after DoG (arXiv 2302.12022) and hypergradient descent (arXiv 1703.04782).

    >>> print(AnchoredStep())
    AnchoredStep(0.1)
    """

    floor: float = 0.1
    delay: float = 100.0
    kappa: float = 0.02
    smoothing: float = 0.9
    low: float = 0.1
    high: float = 100.0
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.floor > 0.0 or not self.delay >= 0.0 or not self.kappa >= 0.0:
            raise ValueError(f"Invalid {self}: floor is a length > 0; delay and kappa must not be negative.")
        if not 0.0 <= self.smoothing < 1.0 or not 0.0 < self.low <= 1.0 <= self.high:
            raise ValueError(f"Invalid {self}: smoothing lies in [0, 1), and low <= 1 <= high.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Where the weights began, and where they were a step ago."""
        return {"begin": p.detach().clone(), "last": p.detach().clone()}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`size`, `distance`, `cos`, `h` and how many steps were measured."""
        zero = torch.zeros((), dtype=torch.float64, device=device)
        return {name: zero.clone() for name in ("size", "distance", "cos", "h", "n")}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """norm(w - w_0)^2 and the number of coordinates; <g, last move>, norm(g)^2, norm(last move)^2."""
        assert aim.p is not None
        way, move = aim.p - mem.begin, mem.last - aim.p
        mem.last.copy_(aim.p)
        return torch.stack([inner(way, way), count(g), inner(g, move), inner(g, g), inner(move, move)], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """distance, cos, h and size, in this order."""
        way, size, won, g, move = measured.unbind(-1)
        mem.n.add_(1)
        mem.distance.copy_(torch.maximum(mem.distance, (way / size).sqrt()))
        scale = (g * move).sqrt()
        mem.cos.mul_(self.smoothing).add_(won / torch.where(scale > 0, scale, 1.0) * (1 - self.smoothing))
        seen = 1 - self.smoothing ** (mem.n - 1)  # nothing has moved before the first step
        mem.h.add_(mem.cos / torch.where(seen > 0, seen, 1.0) * self.kappa)
        mem.h.copy_(mem.h.clamp(math.log(self.low), math.log(self.high)))
        mem.size.copy_(mem.distance.clamp(min=self.floor) * mem.h.exp() / (mem.n + self.delay).sqrt())

    def scale(self, mem: Memory) -> Field | float:
        """What lr is multiplied by."""
        return mem.size

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr size."""
        return mem.size * lr
