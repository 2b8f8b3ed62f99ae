"""Several averages of one gradient at once, mixed by fixed weights: what a bank that chooses has to beat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, lerp_
from ..core.memory import Memory, number
from ..core.part import Filter
from ..statistics import response
from .average import check_decay


@final
@dataclass(frozen=True)
class HeavyBalls(Filter):
    """The mean of several heavy balls, of which the light ones damp the swing of the heavy ones (AggMo).

        b_i <- mu_i b_i + g        u = (1 / K) sum_i b_i

    As a causal filter: q_k = mean_i mu_i^k; gain mean_i (1 - mu_i^n) / (1 - mu_i), 37 for (0, .9, .99). Memory: `b0` ..
    `b{K-1}`, like the parameter. mus: K momenta in [0, 1). One is `HeavyBall`. Reference: Lucas et al., arXiv
    1804.00325.

    >>> HeavyBalls((0.0, 0.5)).taps(3).tolist()
    [1.0, 0.25, 0.125]
    """

    mus: tuple[float, ...] = (0.0, 0.9, 0.99)

    def __post_init__(self) -> None:
        if not isinstance(self.mus, tuple) or not self.mus:
            raise ValueError(f"Invalid momenta: {self.mus!r}; give a tuple, such as (0.0, 0.9, 0.99).")
        for mu in self.mus:
            check_decay("momentum", mu)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The balls' velocities."""
        return {f"b{i}": torch.zeros_like(p) for i in range(len(self.mus))}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """b_i <- mu_i b_i + g."""
        for i, mu in enumerate(self.mus):
            mem[f"b{i}"].mul_(mu).add_(g)

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """The mean of them."""
        first, *others = mem
        return sum(others, start=first).div(len(self.mus))

    def taps(self, n: int) -> Tensor:
        """mean_i mu_i^k."""
        return torch.stack([response.taps(mu, 1.0, n) / (1 - mu) for mu in self.mus]).mean(0)

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """mean_i (1 - mu_i^n) / (1 - mu_i)."""
        return torch.stack([(1 - mu**t) / (1 - mu) for mu in self.mus]).mean(0)

    def momentum(self, mem: Memory) -> float:
        """The mean of the momenta."""
        return sum(self.mus) / len(self.mus)


@final
@dataclass(frozen=True)
class TwoAverages(Filter):
    """A short memory and, louder and louder, a very long one (AdEMAMix).

        m <- b1 m + (1 - b1) g,    l <- b3_n l + (1 - b3_n) g,    u = m / (1 - b1^n) + alpha_n l

    In `warmup` steps alpha_n grows from 0 to alpha, and the half-life of l from beta's to slow's, along lines; 0: at
    once. l is not corrected. As a causal filter: the sum of both; gain about 1 + alpha. Memory: `m`, `l`, like the
    parameter; `lost` = b3_1 ... b3_n. Reference: Pagliardini et al., arXiv 2409.03137.

    >>> TwoAverages(0.0, 0.5, 2.0).taps(3).tolist()
    [2.0, 0.5, 0.25]
    """

    beta: float = 0.9
    slow: float = 0.9999
    alpha: float = 5.0
    warmup: int = 0

    def __post_init__(self) -> None:
        check_decay("beta", self.beta)
        check_decay("slow", self.slow)
        if not self.alpha >= 0.0 or self.warmup < 0 or not 0.0 < self.slow >= self.beta:
            raise ValueError(f"Invalid {self}: alpha and warmup are >= 0, and slow is positive and at least beta.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Both averages, and what of the long one's start is left."""
        return {"m": torch.zeros_like(p), "l": torch.zeros_like(p), "lost": number(1.0, p.device)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """m and l take in g."""
        mem.m.lerp_(g, 1 - self.beta)
        lerp_(mem.l, g, 1 - self._warmed(t)[0])
        mem.lost.mul_(self._warmed(t)[0])

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """m / (1 - b1^n) + alpha_n l."""
        return mem.m.div(1 - self.beta**t) + mem.l.mul(self._warmed(t)[1])

    def _warmed(self, t: Tensor) -> tuple[Tensor, Tensor]:
        way = (t / self.warmup).clamp(max=1.0) if self.warmup else torch.ones_like(t)
        return _along(self.beta, self.slow, way), way * self.alpha

    def taps(self, n: int) -> Tensor:
        """Those of both averages; the long one's decay had its own value at every step."""
        slow, weight = self._warmed(torch.arange(1, n + 1, dtype=torch.float64))
        left = torch.cat([torch.ones(1, dtype=slow.dtype), slow.flip(0).cumprod(0)[:-1]])
        return response.taps(self.beta, 1.0, n) / (1 - self.beta**n) + weight[-1] * (1 - slow.flip(0)) * left

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1 + alpha_n (1 - b3_1 ... b3_n)."""
        return 1 + self._warmed(t)[1] * (1 - mem.lost)

    def momentum(self, mem: Memory) -> float:
        """beta; that of the long memory is slow."""
        return self.beta


def _along(first: float, last: float, way: Tensor) -> Tensor:
    """The decay factor on the way from one to another, with the half-life on a line between theirs."""
    ends = [1 / math.log(b) if b else 0.0 for b in (first, last)]
    return torch.exp(1 / (way * (ends[1] - ends[0]) + ends[0]))
