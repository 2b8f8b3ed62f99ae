"""Dynamically weighted Halley: the polar factor by rational functions, which need a third of the steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import final

import torch
from torch import Tensor

from .coefficient import Triple
from .factor import Polar, lying, shifted, turned, wide
from .start import SchattenStart

SCHATTEN = SchattenStart()


@final
@dataclass(frozen=True)
class QDWH(Polar):
    """x <- x (a + b x^2) / (1 + c x^2) on every singular value: a step is worth two or three of Newton-Schulz.

        X <- (b/c) X + (a - b/c) (I + c A)^-1 X,    A = X X^T

    (a, b, c) are the best for [l, 1], where l starts at `floor`, relative to the Schatten-4 norm, and moves with the
    steps: from 2e-4 two end in [.91, 1], from 1e-16 six at 1. Nothing overshoots. steps: None for as many as needed.
    The inverse comes from a Cholesky factor where c <= cholesky, else from a QR one, which is slower and stays exact.
    Arithmetic: float32 at least. Flops: steps (4 r^2 L + 2 r^3). Reference: Nakatsukasa, Bai & Gygi 2010.

    >>> QDWH(1e-6)(torch.diag(torch.tensor([2.0, 0.001])))
    tensor([[1.00, 0.00],
            [0.00, 1.00]])
    """

    floor: float = 1e-7
    steps: int | None = None
    cholesky: float = 100.0

    def __post_init__(self) -> None:
        check(self.floor, self.steps)

    def __call__(self, x: Tensor) -> Tensor:
        return lying(self._wide, x)

    def _wide(self, x: Tensor) -> Tensor:
        y, gram, _ = SCHATTEN(wide(x), wide(x).dtype)
        for k, (a, b, c) in enumerate(weights(self.floor, self.steps)):
            if c > self.cholesky:
                y = _by_qr(y, a, b, c)
            else:
                y = turned(_even(y @ y.mT if k else gram, a, b, c), y)
        return y


@final
@dataclass(frozen=True)
class GramQDWH(Polar):
    """The same rational functions, composed on the small side, for L >= 2 r: long products only at both ends.

        M_k = (b/c) I + (a - b/c) (I + c A)^-1,    A <- M_k (M_k A),    polar = M_K ... M_1 X

    M A needs no product, as (I + c A)^-1 A = (I - (I + c A)^-1) / c. Rounding in A grows by a^2, so floor is 1e-3 or
    more in float32: two steps end in [.96, 1]. Flops: 4 r^2 L + 6 r^3 a step. Our own arrangement of QDWH.
    """

    floor: float = 1e-3
    steps: int | None = 2

    def __post_init__(self) -> None:
        check(self.floor, self.steps)

    def __call__(self, x: Tensor) -> Tensor:
        return lying(self._wide, x)

    def _wide(self, x: Tensor) -> Tensor:
        y, gram, _ = SCHATTEN(wide(x), wide(x).dtype)
        course, made = weights(self.floor, self.steps), None
        for k, (a, b, c) in enumerate(course):
            m = _even(gram, a, b, c)
            if k + 1 < len(course):  # M A = (b/c) A + (a/c - b/c^2) (I - Z) with Z = (M - b/c I) / (a - b/c)
                gram = m @ shifted((gram * b - m) / c, a / c)
            made = m if made is None else m @ made
        assert made is not None
        return turned(made, y)


def _even(gram: Tensor, a: float, b: float, c: float) -> Tensor:
    """(b/c) I + (a - b/c) (I + c A)^-1."""
    factor = torch.linalg.cholesky_ex(shifted(gram * c, 1.0))[0]
    return shifted(torch.cholesky_inverse(factor).mul_(a - b / c), b / c)


def _by_qr(y: Tensor, a: float, b: float, c: float) -> Tensor:
    """The same step from [sqrt(c) X^T; I] = [Q1; Q2] R: (b/c) X + (a - b/c) / sqrt(c) Q2 Q1^T."""
    r, long = y.shape[-2:]
    eye = torch.eye(r, dtype=y.dtype, device=y.device).expand(*y.shape[:-2], r, r)
    q = torch.linalg.qr(torch.cat([y.mT * sqrt(c), eye], -2))[0]
    return y * (b / c) + q[..., long:, :] @ q[..., :long, :].mT * ((a - b / c) / sqrt(c))


@lru_cache(maxsize=64)
def weights(floor: float, steps: int | None) -> tuple[Triple, ...]:
    """(a, b, c) of every step, each the best for the interval [l, 1] that the steps before it leave."""
    found: list[Triple] = []
    low = floor
    while len(found) < (steps or 20) and (steps or 1 - low > 1e-15):
        d = (4 * max(1 - low**2, 0.0) / low**4) ** (1 / 3)
        root = sqrt(1 + d)
        a = root + sqrt(max(8 - 4 * d + 8 * (2 - low**2) / (low**2 * root), 0.0)) / 2
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        found.append((a, b, c))
        low = min(low * (a + b * low**2) / (1 + c * low**2), 1.0)
    return tuple(found)


def check(floor: float, steps: int | None) -> None:
    """Refuse what makes no interval."""
    if not 0.0 < floor < 1.0 or not (steps is None or steps >= 1):
        raise ValueError(f"floor = {floor} must lie between 0 and 1, and steps = {steps} be 1 or more, or None.")
