"""Relatives of Adam's second moment: what else a coordinate may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..statistics.average import average_
from .diagonal import Diagonal, Squares, check_squares


@final
@dataclass(frozen=True)
class MaxSecondMoment(Diagonal):
    """A coordinate costs the most that its gradient has usually measured so far: costs do not fall (AMSGrad).

        v_n = beta v_{n-1} + (1 - beta) g_n^2    w_n = max(w_{n-1}, v_n)    D = sqrt(w_n / (1 - beta^n)) + eps

    As torch has it: the maximum of the biased averages, then the correction (the paper has none, and lr / sqrt(n)).
    While v grows it is `SecondMoment`. Memory: `v` and `peak` (w), like the parameter. Units as there. Reference: Reddi
    et al., arXiv 1904.09237; torch.optim.Adam(amsgrad=True).

    >>> print(MaxSecondMoment(0.99))
    MaxSecondMoment(0.99)
    """

    beta: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_squares(self.beta, self.eps)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squares, and its maximum."""
        return {"v": torch.zeros_like(p), "peak": torch.zeros_like(p)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- beta v + (1 - beta) g^2,  w <- max(w, v)."""
        mem.peak.copy_(mem.peak.maximum(average_(mem.v, g.square(), 1 - self.beta)))

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """sqrt(w / (1 - beta^n)) + eps."""
        return mem.peak.div(1 - self.beta**t).sqrt().add(self.eps)


@final
@dataclass(frozen=True)
class FadingPeak(Diagonal):
    """A coordinate costs its largest gradient, which fades (AdaMax).

        D_n = max(beta D_{n-1}, |g_n| + eps)

    The limit p -> inf of Adam's root of an average of p-th powers; nothing to correct. Memory: `peak` (D), like the
    parameter. Units as for `SecondMoment`. Reference: Kingma & Ba, arXiv 1412.6980; torch.optim.Adamax.

    >>> mem = Memory(FadingPeak(0.5).memory(torch.zeros(1)))
    >>> for g in (8.0, 1.0): FadingPeak(0.5).observe(torch.tensor([g]), mem, torch.tensor(1.0))
    >>> mem.peak
    tensor([4.])
    """

    beta: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_squares(self.beta, self.eps)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """D."""
        return {"peak": torch.zeros_like(p)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """D <- max(beta D, |g| + eps)."""
        mem.peak.copy_(mem.peak.mul(self.beta).maximum(g.abs().add(self.eps)))

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """D."""
        return mem.peak


@final
@dataclass(frozen=True)
class QuasiMoment(Diagonal):
    """The square of now mixed with the usual one: of what Adam divides by, a share comes from this gradient (QHAdam).

        v_n = beta v_{n-1} + (1 - beta) g_n^2        D = sqrt((1 - nu) g_n^2 + nu v_n / (1 - beta^n)) + eps

    nu = 1 is `SecondMoment`, nu = 0 the present size |g_n|. Memory: `v` and `s` (what is under the root), like the
    parameter. Units as for `SecondMoment`. Reference: Ma & Yarats, arXiv 1810.06801.

    >>> print(QuasiMoment(0.99, 0.9))
    QuasiMoment(0.99, 0.9)
    """

    beta: float
    nu: float
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_squares(self.beta, self.eps)
        if not 0.0 <= self.nu <= 1.0:
            raise ValueError(f"Invalid nu: {self.nu!r}; the share of the average lies in [0, 1].")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squares, and what is under the root."""
        return {"v": torch.zeros_like(p), "s": torch.zeros_like(p)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- beta v + (1 - beta) g^2,  s = (1 - nu) g^2 + nu v / (1 - beta^n)."""
        v = average_(mem.v, g.square(), 1 - self.beta)
        mem.s.copy_(g.square().mul(1 - self.nu) + v.mul(self.nu).div(1 - self.beta**t))

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """sqrt(s) + eps."""
        return mem.s.sqrt().add(self.eps)


@final
@dataclass(frozen=True)
class Surprise(Diagonal):
    """A coordinate costs how far its gradient usually is from what was expected of it (AdaBelief).

        m_n = beta1 m_{n-1} + (1 - beta1) g_n    s_n = beta2 s_{n-1} + (1 - beta2) (g_n - m_n)^2 + eps
        D = sqrt(s_n / (1 - beta2^n)) + eps

    Steps are long where gradients agree. Memory: `m` and `s`, like the parameter (the filter's own average lies apart,
    so that any filter may stand before). Units as for `SecondMoment`. Reference: Zhuang et al., arXiv 2010.07468.

    >>> print(Surprise())
    Surprise(0.9)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-16

    def __post_init__(self) -> None:
        check_squares(self.beta1, self.eps)
        check_squares(self.beta2, self.eps)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """What is expected, and the average of squared errors."""
        return {"m": torch.zeros_like(p), "s": torch.zeros_like(p)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """m, and s from what it left unexplained."""
        error = g - average_(mem.m, g, 1 - self.beta1)
        average_(mem.s, error.square(), 1 - self.beta2).add_(self.eps)

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """sqrt(s / (1 - beta2^n)) + eps."""
        return mem.s.div(1 - self.beta2**t).sqrt().add(self.eps)


@final
@dataclass(frozen=True)
class Rectified(Squares):
    """Adam's cost only once it is known well enough; before that every coordinate costs 1 (RAdam).

        rho_n = rho - 2 n beta^n / (1 - beta^n),   rho = 2 / (1 - beta) - 1
        D = (sqrt(v_n) + eps) / sqrt(1 - beta^n) / r_n if rho_n > 5 else 1,
        r_n^2 = (rho_n - 4) (rho_n - 2) rho / ((rho - 4) (rho - 2) rho_n)

    v as in `SecondMoment`. A built-in warm-up: r grows to 1 in some 1 / (1 - beta) steps. Memory: `v`, like the
    parameter. Units: at first the gradient's, then none. Reference: Liu et al., arXiv 1908.03265; torch.optim.RAdam.

    >>> print(Rectified(0.99))
    Rectified(0.99)
    """

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """(sqrt(v) + eps) a + b, where a = 0 and b = 1 as long as too little is known."""
        known = 1 - self.beta**t
        most = 2 / (1 - self.beta) - 1
        rho = most - 2 * t * self.beta**t / known
        told = rho > 5
        rho = torch.where(told, rho, 5.0)
        r = ((rho - 4) * (rho - 2) / rho * most / ((most - 4) * (most - 2))).sqrt()
        a = torch.where(told, 1 / (known.sqrt() * r), 0.0)
        return mem.v.sqrt().add(self.eps).mul(a).add(1 - told.to(t.dtype))
