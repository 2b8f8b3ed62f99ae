"""Neighbour: how many stretches of steps vary together, and what so few of them cannot show of how much they vary."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

SPAN = 4.0  # memories that neighbours which vary together cover, where there are so many stretches
MOST = 16.0  # how many times as large the variance of a mean may be as what the stretches show of it


class Memory(NamedTuple):
    """How long products of gradients remember theirs, in steps: in how many steps there is one's worth of news, and
    how far what is remembered lies back."""

    length: float
    age: float

    @property
    def fall(self) -> tuple[float, float]:
        """A and q of c_k = A q^k at lags k >= 1: 1 + 2 sum c_k is the length, sum k c_k / (1/2 + sum c_k) the age."""
        total, lags = (self.length - 1) / 2, self.age * self.length / 2
        q = 1 - total / lags if 0 < total < lags else 0.0
        return (total * (1 - q) / q, q) if q else (0.0, 0.0)

    def apart(self, steps: float) -> Memory:
        """Of the same, if it is seen every so many steps only; in such times.

        >>> print("%.2f %.2f" % Memory(49.0, 25.0).apart(32.0))
        1.75 0.60
        """
        a, q = self.fall
        far = q**steps
        total = a * far / (1 - far)
        return Memory(1 + 2 * total, total / (1 - far) / (0.5 + total))


NEWS = Memory(1.0, 0.0)  # what is independent, or is taken to be


class Together(NamedTuple):
    """many: neighbours that vary together, h. freedom: degrees of freedom, nu, of the variance that they show. short:
    how many times as large the true variance is as that; infinite where nothing is known of it."""

    many: int
    freedom: int
    short: float


def together(b: int, per: float, memory: Memory) -> Together:
    """Of b stretches of `per` steps.

        h = 4 (3 where b < 12, 2 where b < 8),    nu = floor(3 b / (2 h)),    short = 1

    Where h stretches hold less than SPAN memories, more of them vary together, but no more than half of all: then the
    mean that is taken from them follows what they have in common, they show too little of how much they vary, and that
    little is less sure. nu and short are then those of stretches as long as the memory says (see `shown`).

    >>> together(13, 16.0, NEWS), together(13, 16.0, Memory(25.5, 48.0))[:2]
    (Together(many=4, freedom=4, short=1.0), (6, 2))
    """
    usual = 4 if b >= 12 else 3 if b >= 8 else 2
    if not per:  # no step counted
        return Together(usual, 1, math.inf)
    h = max(usual, min(math.ceil(SPAN * (memory.length - 1) / per), b // 2))
    if h == usual:
        return Together(h, max(1, 3 * b // (2 * h)), 1.0)
    nu, short = shown(covariance(b, per, memory), h)
    return Together(h, max(1, round(nu)), short if short < MOST else math.inf)


def covariance(b: int, per: float, memory: Memory) -> Tensor:
    """Of sums over b stretches of `per` steps, [b, b]: of news, and of what steps share (`Memory.fall`)."""
    a, q = memory.fall
    s = (1 - q**per) / (1 - q)
    d = (torch.arange(b)[:, None] - torch.arange(b)).abs().double()
    same = (1 - a) * per + a * (per + 2 * q / (1 - q) * (per - s))
    return torch.where(d > 0, a * q ** ((d - 1) * per + 1) * s**2, same)


def shown(covariance: Tensor, h: int) -> tuple[float, float]:
    """Of normal sums s with such a covariance C: the degrees of freedom of the variance V of their mean that replicates
    have, and how many times as large it is in truth.

        V = b / (b - h) s' M W M s,    W_ij = max(0, 1 - |i - j| / h),    M = I - 1 1' / b
        X = M W M C,    nu = tr(X)^2 / tr(X^2) (Satterthwaite),    short = 1'C 1 / (b / (b - h) tr X)
    """
    b = len(covariance)
    d = (torch.arange(b)[:, None] - torch.arange(b)).abs().double()
    m = torch.eye(b, dtype=torch.float64) - 1 / b
    x = m @ (1 - d / h).clamp(min=0) @ m @ covariance
    trace = float(x.trace())
    return trace**2 / float((x @ x).trace()), float(covariance.sum()) / trace * (b - h) / b
