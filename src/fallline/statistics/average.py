"""Averages over steps: of measured numbers, and of fields that may overflow."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.field import Elsewhere, Field


def smooth(x: Tensor, mean: Tensor, steps: Tensor, decay: float) -> Tensor:
    """Unbiased exponential average of rows x [scopes, K]: mean <- mean + (1 - decay) / (1 - decay^steps) (x - mean).

    mean [scopes, K] and steps [scopes] are written in place; a row that overflowed says nothing and is passed over.
    """
    told = (x - x == 0).all(-1)  # infinity and NaN differ from themselves
    steps.add_(told)
    weight = torch.where(told, (1 - decay) / (1 - decay**steps), 0.0) if decay else told
    return mean.lerp_(x.nan_to_num(), weight.to(x.dtype)[:, None])


def unbiased(betas: tuple[float, float] | None, t: Tensor) -> float | Tensor:
    """sqrt(1 - b2^t) / (1 - b1^t): what lr must count where both of Adam's averages began at 0; 1 where there are none.

    >>> float(unbiased((0.5, 0.75), torch.tensor(1.0)))
    1.0
    """
    return (1 - betas[1] ** t).sqrt() / (1 - betas[0] ** t) if betas else 1.0


def average_(x: Field, fresh: Field, weight: float) -> Field:
    """x <- (1 - weight) x + weight fresh, where x may be infinite: `lerp` takes a difference, and inf - inf is NaN."""
    if weight == 1:
        return x.copy_(fresh)  # 0 x infinity is NaN, too
    return x.lerp_(fresh, weight) if isinstance(x, Elsewhere) else x.mul_(1 - weight).add_(fresh.mul(weight))
