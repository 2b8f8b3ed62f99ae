"""The learning rate as a distance that grows while the gradients keep their direction: Prodigy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser, check_start
from ..core.field import Field, over
from ..core.memory import Memory, numbers
from ..core.part import Metric, Step
from ..statistics.average import unbiased


@final
@dataclass(frozen=True)
class ProdigyStep(Step, Chooser):
    """A lower bound d on the distance to the solution serves as the learning rate, and weighs the gradients.

        r <- b r + lr d^2 <g, w_0 - w>,    s <- b s + lr d^2 g,    d_hat = c r / sum_l N_l'(s_l)
        peak <- max(peak, d_hat),    d <- min(peak, growth d),    size = lr d_old,    filter and metric see (d / d_0) g

    The first rise above d_0 knows no growth limit. N' is the dual norm of judge, an l1 norm for Sign(); judge=None
    takes each layer's own metric, summed over layers. betas: those of averages from zero, for whose bias lr then counts
    sqrt(1 - b2^t) / (1 - b1^t)-fold. safeguard: s without lr, so that a warm-up of lr from 0 does not count itself.
    Memory: `begin` (w_0), `s`, like the parameter; `d`, `now` (d_old), `peak`, `r`, once. Units: d is a length of the
    metric's ball, lr a factor around 1. r and s are kept in units of d_0, so that nothing underflows. Reference:
    Mishchenko & Defazio, arXiv 2306.06101, and the official code. Without averages: `EscapeVelocity`, one step late.

    >>> print(ProdigyStep())
    ProdigyStep(1e-06)
    """

    start: float = 1e-6
    beta: float = 0.999**0.5
    coefficient: float = 1.0
    growth: float = float("inf")
    judge: Metric | None = None
    betas: tuple[float, float] | None = None
    safeguard: bool = False
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_start(self.start, "d_0 is a length > 0, far below any sensible step")
        if not 0.0 <= self.beta < 1.0 or not self.coefficient > 0.0 or not self.growth > 1.0:
            raise ValueError(f"Invalid {self}: beta lies in [0, 1), the coefficient is > 0 and growth > 1.")
        if not all(0.0 <= b < 1.0 for b in self.betas or ()):
            raise ValueError(f"Invalid betas: {self.betas}; decay factors lie in [0, 1).")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Where the weights began, and the weighed sum of gradients."""
        return {"begin": p.detach().clone(), "s": torch.zeros_like(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`d`, `now` (d as this step uses it), `peak` (the largest d_hat), `r`."""
        return numbers({"d": self.start, "now": self.start, "peak": self.start, "r": 0.0}, device)

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """now <- d, s <- b s + lr d^2 g."""
        mem.now.copy_(mem.d)
        mem.s.mul_(self.beta).add_(g.mul(self._weight(1.0 if self.safeguard else lr * unbiased(self.betas, t), mem)))

    def _weight(self, rate: float | Tensor, mem: Memory) -> Tensor:
        return mem.now.square() * rate / self.start

    def gradient(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """(d / d_0) g."""
        return g.mul(mem.now / self.start)

    def unit(self, mem: Memory) -> Tensor:
        """d / d_0, of the new d."""
        return mem.d / self.start

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """lr d^2 <g, w_0 - w> and N'(s)."""
        weight = self._weight(aim.lr * unbiased(self.betas, t), mem)
        return torch.cat([aim.won(g, mem.begin) * weight, aim.dual(mem.s)], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """r <- b r + its share, peak <- max(peak, c r / N'(s)), d <- min(peak, growth d)."""
        won, dual = measured.unbind(-1)
        mem.r.mul_(self.beta).add_(won)
        found = over(mem.r * self.coefficient, dual)
        mem.peak.copy_(torch.maximum(mem.peak, found))
        mem.d.copy_(torch.where(mem.d == self.start, mem.peak, torch.minimum(mem.peak, mem.d * self.growth)))

    def scale(self, mem: Memory) -> Field | float:
        """d."""
        return mem.now

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr d_old."""
        return mem.now * lr * unbiased(self.betas, t)
