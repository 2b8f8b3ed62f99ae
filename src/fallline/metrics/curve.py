"""Curves: what becomes of singular values."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import over
from ..core.part import Part


class Curve(Part):
    """f on the singular values `[..., r]` of every matrix, largest first; f(0) = 0, whatever a formula says there."""

    @abstractmethod
    def __call__(self, s: Tensor) -> Tensor:
        """f(sigma)."""


@final
@dataclass(frozen=True)
class Power(Curve):
    """f(sigma) = sigma^p: 1 is the gradient itself, 0 the polar factor, less than 0 turns the spectrum upside down.

    Reference: HTMuon, arXiv 2603.10067 (0 < p < 1).

    >>> import torch
    >>> Power(0.5)(torch.tensor([4.0, 1.0, 0.0]))
    tensor([2., 1., 0.])
    """

    p: float

    def __post_init__(self) -> None:
        if not (isinstance(self.p, (int, float)) and abs(self.p) < float("inf")):
            raise ValueError(f"Invalid p: {self.p!r}; the exponent of the singular values is a number.")

    def __call__(self, s: Tensor) -> Tensor:
        return s.pow(self.p).where(s > 0, 0)


@final
@dataclass(frozen=True)
class QuasiNorm(Curve):
    """f(sigma) = (sigma / norm_q(sigma))^(q - 1), norm_q(sigma) = (sum sigma^q)^(1/q), for any q > 0.

    For q >= 1 it makes the direction of steepest descent in the Schatten norm dual to q, and <G, direction> = norm_q:
    q = 2 is the normalised gradient, q = 1 the polar factor. Below 1 there is no such norm ("quasi-norm"), and small
    singular values speak loudest. With c = 1 - q / 2 the direction is (G G^T)^(-c) G. Reference: Freon, arXiv
    2605.11181.

    >>> import torch
    >>> QuasiNorm(2.0)(torch.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])
    """

    q: float

    def __post_init__(self) -> None:
        if not 0 < self.q < float("inf"):
            raise ValueError(f"Invalid q: {self.q!r}; a Schatten norm has an exponent in (0, inf).")

    def __call__(self, s: Tensor) -> Tensor:
        x = over(s, s.amax(-1, keepdim=True))  # first, or a small q overflows
        x = over(x, x.pow(self.q).where(x > 0, 0).sum(-1, keepdim=True).pow(1 / self.q))
        return x.pow(self.q - 1).where(x > 0, 0)


@final
@dataclass(frozen=True)
class Clip(Curve):
    """f(sigma) = min(sigma, tau): the nearest matrix whose largest singular value is tau.

    tau > 0, in the units of what is clipped. Reference: MuCon, arXiv 2605.26459.

    >>> import torch
    >>> Clip(1.0)(torch.tensor([4.0, 0.5]))
    tensor([1.0000, 0.5000])
    """

    tau: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.tau < float("inf"):
            raise ValueError(f"Invalid tau: {self.tau!r}; singular values are clipped at a number > 0.")

    def __call__(self, s: Tensor) -> Tensor:
        return s.clamp(max=self.tau)


@final
@dataclass(frozen=True)
class Soft(Curve):
    """f(sigma) = tau sigma / sqrt(1 + (tau sigma)^2): raw where tau sigma is small, 1 where it is large.

    level: the quantile of the matrix's own singular values that is as good as 1: it becomes 1 - slack, which sets tau
    anew at every step. At 0 all are 1 (Muon). Reference: SoftMuon, arXiv 2605.31371, whose code sets tau from a
    distribution that it fits once to the whole network's spectrum; the quantile of each matrix is our reading.

    >>> import torch
    >>> Soft(1.0, slack=0.2)(torch.tensor([3.0, 0.03]))
    tensor([0.8000, 0.0133])
    """

    level: float
    slack: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 1 or not 0 < self.slack < 1:
            raise ValueError(f"Invalid level {self.level!r} or slack {self.slack!r}: [0, 1] and (0, 1) are allowed.")

    def __call__(self, s: Tensor) -> Tensor:
        full = 1 - self.slack
        x = s / s.quantile(self.level, dim=-1, keepdim=True) * (full / (1 - full**2) ** 0.5)
        return (x / (1 + x.square()).sqrt()).where(x.isfinite(), 1).where(s > 0, 0)
