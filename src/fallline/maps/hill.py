"""Adam that climbs out of where it has come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, count
from ..core.memory import Memory, numbers
from ..core.part import Map


@final
@dataclass(frozen=True)
class Hill(Map, Chooser):
    """Adam on s g, s = 1 or -1: it turns round where the loss stands still, and starts anew (Hill-ADAM; experimental).

        s <- 1 if L > high, -1 if L < low, -s if |L - L_old| < flat, else s;    m, v, n <- 0 where s has changed
        m <- b1 m + (1 - b1) s g,    v <- b2 v + (1 - b2) g^2,    n <- n + 1,    out = mhat / (sqrt(vhat) + eps)

    Bias is corrected by n, the steps since the last turn. In which order a step turns and takes in its gradient is our
    reading. For Euclid(), before or after it. Memory: `m`, `v`, like the parameter; `loss`, `last`, `sign`, `age` (n),
    `turned`, once. Units: as Adam's direction. Reference: Hill-ADAM, public code.

    >>> print(Hill())
    Hill((0.9, 0.999))
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    flat: float = 1e-4
    high: float = 200.0
    low: float = -1e4
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    hears: ClassVar[bool] = True
    spends: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not all(0.0 <= b < 1.0 for b in self.betas) or not self.eps >= 0.0:
            raise ValueError(f"Invalid {self}: decay factors lie in [0, 1), and eps >= 0.")
        if not self.flat >= 0.0 or not self.low < self.high:
            raise ValueError(f"Invalid {self}: flat >= 0 is a difference of losses, and low < high are losses.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Both averages."""
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """The loss and the last one, the sign, the steps since it changed, and whether it has just now."""
        return numbers({"loss": 0.0, "last": torch.inf, "sign": 1.0, "age": 0.0, "turned": 0.0}, device)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """Nothing: the loss says it all."""
        return count(g)[:, None]

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """Whether to turn round."""
        sign = torch.where((mem.loss - mem.last).abs() < self.flat, -mem.sign, mem.sign)
        sign = torch.where(mem.loss > self.high, 1.0, torch.where(mem.loss < self.low, -1.0, sign))
        mem.turned.copy_(sign != mem.sign)
        mem.sign.copy_(sign)
        mem.age.copy_(mem.age * (1 - mem.turned) + 1)
        mem.last.copy_(mem.loss)

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """mhat / (sqrt(vhat) + eps)."""
        (a, b), kept = self.betas, 1 - mem.turned
        mem.m.mul_(kept * a).add_(u.mul(mem.sign * (1 - a)))
        mem.v.mul_(kept * b).add_(u.square().mul(1 - b))
        scale = mem.v.div(1 - b**mem.age).sqrt().add(self.eps)
        return mem.m.div(1 - a**mem.age) / scale
