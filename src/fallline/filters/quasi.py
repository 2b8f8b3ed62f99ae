"""Unbiased averages that let the present gradient speak once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory, number
from ..core.part import Filter
from ..statistics import response
from .average import _Mixed, check_decay


@final
@dataclass(frozen=True)
class QuasiEMA(_Mixed):
    """The gradient mixed with its unbiased average: `QuasiHyperbolic` without its slow start (QHAdam).

        m_n = beta m_{n-1} + (1 - beta) g_n          u_n = (1 - nu) g_n + nu m_n / (1 - beta^n)

    As a causal filter: nu times the taps of `EMA`, and 1 - nu at lag 0; gain 1 at every age. Memory: `m`, like the
    parameter. beta in [0, 1), nu >= 0; nu = 1 is `EMA`. Reference: Ma & Yarats, arXiv 1810.06801.

    >>> round(float(QuasiEMA(0.9, 0.7).taps(20).sum()), 12)
    1.0
    """

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """(1 - nu) g + nu m / (1 - beta^n)."""
        return g.mul(1 - self.nu) + mem.m.mul(self.nu).div(1 - self.beta**t)

    def taps(self, n: int) -> Tensor:
        """nu (1 - beta) beta^k / (1 - beta^n), and 1 - nu more at lag 0."""
        q = response.taps(self.beta, 1.0, n) * self.nu / (1 - self.beta**n)
        q[:1] += 1 - self.nu
        return q

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)


@final
@dataclass(frozen=True)
class NesterovEMA(Filter):
    """Adam's average with Nesterov's look ahead, whose momentum warms up (NAdam).

        mu_n = beta (1 - .96^(psi n) / 2),    P_n = mu_1 ... mu_n,    m <- beta m + (1 - beta) g
        u_n = (1 - mu_n) / (1 - P_n) g_n + mu_{n+1} / (1 - P_{n+1}) m_n

    As a causal filter: those weights times the taps of m. Memory: `m`, like the parameter; `product` (P). beta in [0,
    1). psi: how fast mu grows from beta / 2 to beta. Reference: Dozat 2016; torch.optim.NAdam.

    >>> round(float(NesterovEMA(0.9).taps(1000).sum()), 3)
    1.0
    """

    beta: float = 0.9
    psi: float = 0.004

    def __post_init__(self) -> None:
        check_decay("beta", self.beta)
        if not 0.0 <= self.psi < float("inf"):
            raise ValueError(f"Invalid momentum_decay: {self.psi!r}; it is a number >= 0.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average, and the product of all momenta."""
        return {"m": torch.zeros_like(p), "product": number(1.0, p.device)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """m <- beta m + (1 - beta) g,  P <- mu P."""
        mem.m.lerp_(g, 1 - self.beta)
        mem.product.mul_(self.mu(t))

    def mu(self, t: Tensor) -> Tensor:
        """mu_n."""
        return (1 - 0.96 ** (t * self.psi) * 0.5) * self.beta

    def weights(self, product: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Of g and of m."""
        following = self.mu(t + 1)
        return (1 - self.mu(t)) / (1 - product), following / (1 - product * following)

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """Both."""
        now, past = self.weights(mem.product, t)
        return g.mul(now) + mem.m.mul(past)

    def taps(self, n: int) -> Tensor:
        """Those of m times its weight, and g's at lag 0."""
        steps = torch.arange(1, n + 1, dtype=torch.float64)
        now, past = self.weights(self.mu(steps).prod(), steps[-1])
        q = response.taps(self.beta, 1.0, n) * past
        q[:1] += now
        return q

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """g's weight and m's times 1 - beta^n."""
        now, past = self.weights(mem.product, t)
        return now + past * (1 - self.beta**t)

    def momentum(self, mem: Memory) -> float:
        """beta."""
        return self.beta
