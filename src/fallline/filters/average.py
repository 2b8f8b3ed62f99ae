"""Exponential averages of the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, lerp_
from ..core.memory import Memory
from ..core.part import Filter
from ..statistics import response


def check_decay(name: str, value: float) -> None:
    """Raise unless 0 <= value < 1."""
    if not (isinstance(value, (int, float)) and 0.0 <= value < 1.0):
        raise ValueError(f"Invalid {name}: {value!r}; a decay factor lies in [0, 1).")


@dataclass(frozen=True)
class _Average(Filter):
    """What filters around one average have in common: m_n = beta m_{n-1} + (1 - beta) g_n, from 0."""

    beta: float

    def __post_init__(self) -> None:
        check_decay("beta", self.beta)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average."""
        return {"m": torch.zeros_like(p)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """m <- beta m + (1 - beta) g."""
        mem.m.lerp_(g, 1 - self.beta)

    def momentum(self, mem: Memory) -> float:
        """beta."""
        return self.beta


@dataclass(frozen=True)
class _Mixed(_Average):
    """Those that mix it with the gradient of now: nu, the weight of the average."""

    nu: float = 1.0

    def __post_init__(self) -> None:
        _Average.__post_init__(self)
        if not 0.0 <= self.nu < float("inf"):
            raise ValueError(f"Invalid nu: {self.nu!r}; the weight of the average is a number >= 0.")


@final
@dataclass(frozen=True)
class EMA(_Average):
    """Exponential average, unbiased from the first step (Adam's first moment).

        m_n = beta m_{n-1} + (1 - beta) g_n          u_n = m_n / (1 - beta^n)

    As a causal filter: q_k = (1 - beta) beta^k / (1 - beta^n); gain 1 at every age. Memory: `m`, like the parameter.
    beta: decay in [0, 1). Reference: Kingma & Ba, arXiv 1412.6980.

    >>> float(EMA(0.9).taps(1000).sum())
    1.0
    """

    beta: float = 0.9

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """m / (1 - beta^n)."""
        return mem.m.div(1 - self.beta**t)

    def taps(self, n: int) -> Tensor:
        """(1 - beta) beta^k / (1 - beta^n)."""
        return response.taps(self.beta, 1.0, n) / (1 - self.beta**n)

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)


@final
@dataclass(frozen=True)
class Primed(Filter):
    """Exponential average that begins with the first gradient instead of zero.

        m_1 = g_1          m_n = beta m_{n-1} + (1 - beta) g_n          u_n = m_n

    As a causal filter: q_k = (1 - beta) beta^k, but beta^(n-1) for the first gradient, which weighs 1 / (1 - beta)
    times as much as in `EMA`; gain 1. Memory: `m`, like the parameter. beta: decay in [0, 1). Reference: Kovalev,
    arXiv 2503.12645.

    >>> Primed(0.5).taps(3).tolist()
    [0.5, 0.25, 0.25]
    """

    beta: float = 0.9

    def __post_init__(self) -> None:
        check_decay("beta", self.beta)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average."""
        return {"m": torch.zeros_like(p)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """m <- beta m + (1 - beta) g, and g in the first step."""
        lerp_(mem.m, g, (2 - t).clamp(min=1 - self.beta))

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """m."""
        return mem.m

    def taps(self, n: int) -> Tensor:
        """(1 - beta) beta^k, the last one beta^(n - 1)."""
        q = response.taps(self.beta, 1.0, n)
        q[-1] = self.beta ** (n - 1)
        return q

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def momentum(self, mem: Memory) -> float:
        """beta."""
        return self.beta


@final
@dataclass(frozen=True)
class QuasiHyperbolic(_Mixed):
    """The gradient mixed with its exponential average: two numbers that cover many published momenta.

        m_n = beta m_{n-1} + (1 - beta) g_n          u_n = (1 - nu) g_n + nu m_n

    As a causal filter: q_0 = 1 - nu beta, q_k = nu (1 - beta) beta^k; gain 1 - nu beta^n. Memory: `m`, like the
    parameter. beta in [0, 1), nu >= 0. nu = 0 is the gradient, nu = beta is Nesterov's momentum times 1 - beta, and
    with nu = b1 / b2, beta = b2 it is Lion's interpolation b1 m_{n-1} + (1 - b1) g_n. Reference: Ma & Yarats, arXiv
    1810.06801.

    >>> QuasiHyperbolic(0.5, 1.0).taps(3).tolist()
    [0.5, 0.25, 0.125]
    """

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """(1 - nu) g + nu m."""
        return self.blend(g, mem.m)

    def blend(self, g: Field, m: Field) -> Field:
        """(1 - nu) g + nu m."""
        return m if self.nu == 1.0 else g.lerp(m, self.nu)

    def taps(self, n: int) -> Tensor:
        """1 - nu beta, then nu (1 - beta) beta^k."""
        return response.taps(self.beta, self.nu, n)

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1 - nu beta^n."""
        return 1 - self.nu * self.beta**t
