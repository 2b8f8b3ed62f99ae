"""Student: the same interval at another level, where few stretches tell how much a number varies."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

from .estimate import Estimate


def quantile(level: float, nu: float) -> float:
    """t with P(|T| <= t) = level, for Student's T with nu degrees of freedom, a whole number or infinite.

    >>> round(quantile(0.95, 4), 3), round(quantile(0.99, 7), 3), round(quantile(0.95, 1), 2)
    (2.776, 3.499, 12.71)
    """
    if math.isinf(nu):
        return NormalDist().inv_cdf((1 + level) / 2)
    low, high = 0.0, 1.0
    while inside(high, int(nu)) < level:
        high *= 2
    for _ in range(60):
        mid = (low + high) / 2
        low, high = (mid, high) if inside(mid, int(nu)) < level else (low, mid)
    return high


def inside(t: float, nu: int) -> float:
    """P(|T| <= t), by the finite sums for whole nu (Abramowitz & Stegun 26.7.3, 26.7.4)."""
    angle = math.atan(t / math.sqrt(nu))
    sine, square, odd = math.sin(angle), math.cos(angle) ** 2, nu % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(nu // 2):
        total += term
        term *= square * (2 * k + 1 + odd) / (2 * k + 2 + odd)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def widened(x: Estimate, level: float) -> Estimate:
    """The interval at another level: each end as many times further off as Student's law asks.

    >>> print(widened(Estimate(1.0, 0.0, 3.0, 0.95, freedom=4), 0.99))
    1 [-0.6583, 4.317]
    """
    times = quantile(level, x.freedom) / quantile(x.level, x.freedom)
    low, high = (x.value + times * (end - x.value) if math.isfinite(end) else end for end in (x.low, x.high))
    return replace(x, low=low, high=high, level=level)
