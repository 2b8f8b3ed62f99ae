"""Averages of measured numbers over steps."""

from __future__ import annotations

import torch
from torch import Tensor


def smooth(x: Tensor, mean: Tensor, steps: Tensor, decay: float) -> Tensor:
    """Unbiased exponential average of rows x [scopes, K]: mean <- mean + (1 - decay) / (1 - decay^steps) (x - mean).

    mean [scopes, K] and steps [scopes] are written in place; a row that overflowed says nothing and is passed over.
    """
    told = (x - x == 0).all(-1)  # infinity and NaN differ from themselves
    steps.add_(told)
    weight = torch.where(told, (1 - decay) / (1 - decay**steps), 0.0) if decay else told
    return mean.lerp_(x.nan_to_num(), weight.to(x.dtype)[:, None])
