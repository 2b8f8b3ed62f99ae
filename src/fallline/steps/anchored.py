"""The learning rate as the distance that the weights have come, corrected by how well the last step was aimed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, count, inner, over
from ..core.memory import Memory, numbers
from ..core.part import Step

DECAY = 0.9
NOTHING = 1e-3  # an RMS below which weights begin at zero


@final
@dataclass(frozen=True)
class AnchoredStep(Step, Chooser):
    """A share of the way from the first weights, less with time and with the gradient, more while steps fall short.

        r_n = max(rms(w_0), reach max_k rms(w_k - w_0))  h_n = h_{n-1} + kappa c_n, in [log low, log high]
        f_n = min(1, G_n / mean_k norm(g_k)^2)           q_n = (1 + n / delay)^-power
        size_n = lr share r_n q_n e^(h_n) f_n^(fall / 2)

    r_n counts floor in place of rms(w_0) for weights that begin at zero. c_n averages cos(g_n, w_{n-2} - w_{n-1}) and
    G_n norm(g_n)^2, with decay .9; norms are over all layers with such a step. A gradient that still points where the
    last step went says that this step was short (the hypergradient of log size); one that points back, that it was
    long. f_n: directions of fixed length walk on where the gradient has died away. Memory: `begin`, `last`, like the
    parameter; single numbers, once. Units: directions of the metric have an RMS of about 1, of matrices .2; lr is a
    factor around 1. Reference: ours, after DoG (arXiv 2302.12022) and hypergradient descent (arXiv 1703.04782); what
    each factor is worth: docs/suite.md.

    >>> print(AnchoredStep())
    AnchoredStep(0.1)
    """

    floor: float = 0.1
    share: float = 0.1
    reach: float = 1.0
    delay: float = 100.0
    power: float = 0.6
    kappa: float = 0.02
    fall: float = 0.25
    low: float = 0.1
    high: float = 100.0
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not min(self.floor, self.share, self.delay) > 0.0:
            raise ValueError(f"Invalid {self}: floor (a length), share and delay (in steps) are > 0.")
        if not (min(self.reach, self.power, self.kappa, self.fall) >= 0.0 and 0.0 < self.low <= 1.0 <= self.high):
            raise ValueError(f"Invalid {self}: reach, power, kappa and fall are >= 0, and 0 < low <= 1 <= high.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Where the weights began, and where they were a step ago."""
        return {"begin": p.detach().clone(), "last": p.detach().clone()}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`size`, `distance`, `h`; the averages `cos`, `recent` (G), `all`; and how many steps were measured."""
        return numbers(dict.fromkeys(("size", "distance", "h", "cos", "recent", "all", "n"), 0.0), device)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """norm(w - w_0)^2, norm(w_0)^2, coordinates; <g, last move>, norm(g)^2, norm(last move)^2."""
        assert aim.p is not None
        way, move = aim.p - mem.begin, mem.last - aim.p
        mem.last.copy_(aim.p)
        lengths = inner(way, way), inner(mem.begin, mem.begin), count(g)
        return torch.stack([*lengths, inner(g, move), inner(g, g), inner(move, move)], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """distance, h, G and size, in this order."""
        way, begin, numel, won, g, move = measured.unbind(-1)
        mem.n.add_(1)
        first = (begin / numel).sqrt()
        reach = torch.maximum((way / numel).sqrt() * self.reach, torch.where(first < NOTHING, self.floor, first))
        mem.distance.copy_(torch.maximum(mem.distance, reach))
        length = (g * move).sqrt()
        mem.cos.mul_(DECAY).add_(over(won, length) * (1 - DECAY))
        mem.h.add_(_fair(mem.cos, mem.n - 1) * self.kappa)  # nothing has moved before the first step
        mem.h.copy_(mem.h.clamp(math.log(self.low), math.log(self.high)))
        mem.recent.mul_(DECAY).add_(g * (1 - DECAY))
        mem["all"].add_(g)
        mean = mem["all"] / mem.n
        fallen = over(_fair(mem.recent, mem.n), mean).clamp(max=1.0) ** (self.fall / 2)
        late = (1 + mem.n / self.delay) ** self.power
        mem.size.copy_(mem.distance * self.share * mem.h.exp() * fallen / late)

    def scale(self, mem: Memory) -> Field | float:
        """What lr is multiplied by."""
        return mem.size


def _fair(average: Tensor, n: Tensor) -> Tensor:
    """An average of n numbers that began at zero, without the share of that zero."""
    return over(average, 1 - DECAY**n)
