"""D-Adaptation: a lower bound on the distance to the solution, from sums or from averages of gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser, check_start
from ..core.field import Field, inner, over
from ..core.memory import Memory, number, numbers
from ..core.part import Metric, Step
from ..statistics.average import unbiased


@dataclass(frozen=True)
class _Adaptation(Step, Chooser):
    """What both have in common: s, how much a gradient counts, and a bound that grows."""

    start: float = 1e-6
    growth: float = float("inf")
    judge: Metric | None = None
    inward: ClassVar[bool] = True
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    early: ClassVar[bool] = True  # s and what the metric has learned are those of the step before

    def __post_init__(self) -> None:
        check_start(self.start, "d_0 is a length > 0, far below any sensible step")
        if not self.growth > 1.0:
            raise ValueError(f"Invalid growth: {self.growth!r}; d grows by a factor > 1 at most.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weighed sum of gradients."""
        return {"s": torch.zeros_like(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`d`, `now` (d as this step uses it), `weight` (of this gradient), `r`."""
        return numbers({"d": self.start, "now": self.start, "weight": 0.0, "r": 0.0}, device)

    def gradient(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """lr d g / d_0."""
        return g.mul(mem.weight)

    def won(self, g: Field, mem: Memory, aim: Aim) -> Tensor:
        """<g, direction(s)>: [tensors, 1]."""
        return inner(g, aim.direction(mem.s))[:, None]

    def grow(self, mem: Memory, found: Tensor) -> None:
        """d <- max(d, min(found, growth d))."""
        mem.d.copy_(torch.maximum(mem.d, torch.minimum(found, mem.d * self.growth)))


@final
@dataclass(frozen=True)
class DAdaptSum(_Adaptation):
    """D-Adaptation of SGD: the gradients' sum shows how far the solution must be.

        r <- r + w <g, M s>,   s <- s + w g,   w = lr d / N'(g_0),   d <- max(d, min(2 r / N'(s), growth d))

    The filter takes in w g, so the step only says in which units: z_n = x_0 - M s where the filter is Identity(), and
    an average of z where it is one (QuasiHyperbolic: the official momentum). M is the metric's direction, N' the root
    of the sum of its squared dual norms, as for `DoGStep`; Euclid() is the published one, and there (or in another
    fixed quadratic norm) 2 sum w <g, M s> = N'(s)^2 - sum w^2 N'(g)^2, and d <= N(x_0 - x*) where the loss is convex
    and there is no noise. Memory: `s`, like the parameter; `d`, `now`, `weight`, `r`, `g0` (N'(g_0)), once. Units: d
    is a length, lr a factor around 1. With delay=1 the first step has size 0. Reference: Defazio & Mishchenko, arXiv
    2301.07733, and the official code.

    >>> print(DAdaptSum())
    DAdaptSum(1e-06)
    """

    as_long: ClassVar[bool] = True

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """What both have, and `g0`, 0 as long as there was no gradient."""
        return _Adaptation.decisions(self, device) | {"g0": number(0.0, device)}

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """now <- d, s <- s + w g, in units of d_0 / N'(g_0)."""
        mem.now.copy_(mem.d)
        mem.weight.copy_(mem.now * lr / self.start)
        mem.s.add_(g.mul(mem.weight))

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """w <g, M s>, N'(s + w g)^2 and N'(g)^2."""
        weight = mem.d * aim.lr / self.start
        later = mem.s + g.mul(weight)
        return torch.cat([self.won(g, mem, aim) * weight, aim.dual_squares(later), aim.dual_squares(g)], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """g0 <- N'(g) of the first, r <- r + its share, d <- max(d, min(2 r / N'(s), growth d))."""
        won, dual, steep = measured.unbind(-1)
        mem.g0.copy_(torch.where(mem.g0 > 0, mem.g0, steep.sqrt()))
        mem.r.add_(won)
        self.grow(mem, over(2 * self.start * mem.r, mem.g0 * dual.sqrt()))

    def scale(self, mem: Memory) -> Field | float:
        """d / N'(g_0)."""
        return over(mem.now, mem.g0)

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """d_0 / N'(g_0), the unit of what the filter holds."""
        return over(self.start, mem.g0)


@final
@dataclass(frozen=True)
class DAdaptAverage(_Adaptation):
    """D-Adaptation of Adam: averages in place of sums, and the dual norms of the judge.

        r <- b r + w <g, M s>,   s <- b s + w g,   w = lr d,   d <- max(d, min(r / sum_l N_l'(s_l), growth d))

    with s and what the metric M has learned as they were before g in r. The filter takes in w g, the metric g itself.
    M s stands for the way that was gone, so there is no proof that d stays below the distance, and it may pass it.
    N' is the dual norm of judge, an l1 norm for Sign() (published); None: each layer's own metric, summed over layers.
    betas: those of averages from zero, for whose bias lr then counts sqrt(1 - b2^t) / (1 - b1^t)-fold. Memory and units
    as for `DAdaptSum`. Reference: Defazio & Mishchenko, arXiv 2301.07733, and the official code, whose s and r are ours
    times 1 - b and (1 - b)^2. Weighing by d^2 and w_0 - w in place of M s makes it Prodigy.

    >>> from fallline import Sign
    >>> print(DAdaptAverage(judge=Sign()))
    DAdaptAverage(1e-06, judge=Sign())
    """

    beta: float = 0.999**0.5
    betas: tuple[float, float] | None = None
    across: ClassVar[bool] = True

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """now <- d, s <- b s + w g, in units of d_0."""
        mem.now.copy_(mem.d * unbiased(self.betas, t))
        mem.weight.copy_(mem.now * lr / self.start)
        mem.s.mul_(self.beta).add_(g.mul(mem.weight))

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """w <g, M s> and N'(b s + w g)."""
        weight = mem.d * aim.lr * unbiased(self.betas, t) / self.start
        return torch.cat([self.won(g, mem, aim) * weight, aim.dual(mem.s.mul(self.beta) + g.mul(weight))], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """r <- b r + its share, d <- max(d, min(r / N'(s), growth d))."""
        won, dual = measured.unbind(-1)
        mem.r.mul_(self.beta).add_(won)
        self.grow(mem, over(self.start * mem.r, dual))

    def scale(self, mem: Memory) -> Field | float:
        """d."""
        return mem.now

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """d_0, the unit of what the filter holds."""
        return self.start
