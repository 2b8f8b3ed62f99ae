"""The steepest direction of a p-norm, which norms of rows, columns and whole tensors have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.field import over


def climb(x: Tensor, p: float, dim: int | tuple[int, ...]) -> Tensor:
    """argmax of <x, d> over norm_p(d) <= 1 along `dim`: sign(x) |x|^(q - 1) / norm_q(x)^(q - 1), 1/p + 1/q = 1.

    0 for zeros. For p = 1 the largest coordinate alone, the first one where several are.
    """
    if p == torch.inf:
        return x.sign()
    x = over(x, x.abs().amax(dim, keepdim=True))  # powers of what lies in [-1, 1] do not overflow
    if p == 1.0:
        assert isinstance(dim, int)
        largest = x.abs() == 1
        return x.sign() * (largest & (largest.cumsum(dim) == 1))
    d = x if p == 2.0 else x.sign() * x.abs() ** (1 / (p - 1))
    return over(d, torch.linalg.vector_norm(d, p, dim, keepdim=True))


def conjugate(p: float) -> float:
    """q with 1/p + 1/q = 1: the norm of q is dual to that of p.

    >>> conjugate(2.0), conjugate(1.0), conjugate(1.5)
    (2.0, inf, 3.0)
    """
    return torch.inf if p == 1.0 else 1.0 if p == torch.inf else p / (p - 1)


def check_power(p: float) -> None:
    """Raise unless p makes a norm."""
    if not (isinstance(p, (int, float)) and p >= 1.0):
        raise ValueError(f"Invalid p: {p!r}; only p >= 1 makes a norm, such as 2 or float('inf').")
