"""Heavy-ball momentum and Nesterov's, as torch.optim.SGD has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Filter
from ..statistics import response
from .average import check_decay


@final
@dataclass(frozen=True)
class HeavyBall(Filter):
    """Momentum that adds up: the ball keeps rolling.

        b_n = mu b_{n-1} + (1 - dampening) g_n        u_n = b_n        (the first gradient is not damped, as in torch)

    As a causal filter: q_k = mu^k; gain (1 - mu^n) / (1 - mu), so the effective lr grows to lr / (1 - mu) (dampening
    0).
    Memory: `b`, like the parameter. mu in [0, 1). Reference: Polyak 1964; torch.optim.SGD.

    >>> HeavyBall(0.5).taps(3).tolist()
    [1.0, 0.5, 0.25]
    """

    mu: float
    dampening: float = 0.0

    def __post_init__(self) -> None:
        check_decay("momentum", self.mu)
        if not isinstance(self.dampening, (int, float)) or not 0.0 <= self.dampening <= 1.0:
            raise ValueError(f"Invalid dampening: {self.dampening!r}; it is a number in [0, 1].")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The ball's velocity."""
        return {"b": torch.zeros_like(p)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """b <- mu b + (1 - dampening) g."""
        mem.b.mul_(self.mu).add_(g.mul(self._share(t)) if self.dampening else g)

    def _share(self, t: Tensor) -> Tensor:
        return 1 - self.dampening * (t > 1).to(t.dtype)

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """b."""
        return mem.b

    def taps(self, n: int) -> Tensor:
        """(1 - dampening) mu^k, and 1 for the very first gradient, which lag n - 1 shows."""
        q = (1 - self.dampening) * response.taps(self.mu, 1.0, n) / (1 - self.mu)
        q[n - 1 :] = self.mu ** (n - 1)
        return q

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """(1 - dampening) (1 - mu^n) / (1 - mu) + dampening mu^(n-1)."""
        return (1 - self.dampening) * (1 - self.mu**t) / (1 - self.mu) + self.dampening * self.mu ** (t - 1)

    def momentum(self, mem: Memory) -> float:
        """mu."""
        return self.mu


@final
@dataclass(frozen=True)
class Nesterov(Filter):
    """Heavy-ball momentum with one more look ahead.

        b_n = mu b_{n-1} + g_n          u_n = g_n + mu b_n

    As a causal filter: q_0 = 1 + mu, q_k = mu^(k+1). Memory: `b`, like the parameter. mu in (0, 1).
    Reference: Nesterov 1983 in the form of Sutskever et al. 2013; torch.optim.SGD(nesterov=True).

    >>> Nesterov(0.5).taps(3).tolist()
    [1.5, 0.25, 0.125]
    """

    mu: float

    def __post_init__(self) -> None:
        check_decay("momentum", self.mu)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The ball's velocity."""
        return {"b": torch.zeros_like(p)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """b <- mu b + g."""
        mem.b.mul_(self.mu).add_(g)

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """g + mu b."""
        return g + mem.b.mul(self.mu)

    def taps(self, n: int) -> Tensor:
        """1 + mu, then mu^(k+1)."""
        return response.taps(self.mu, self.mu, n) / (1 - self.mu)

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """(1 - mu^(n+1)) / (1 - mu)."""
        return (1 - self.mu ** (t + 1)) / (1 - self.mu)

    def momentum(self, mem: Memory) -> float:
        """mu."""
        return self.mu
