"""Turn: which of a step's gradients this is, for steps that take several."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .field import Field, each


def opening(t: Tensor, of: int = 2) -> Tensor:
    """Whether gradient t is the first of a step of so many, 0-d bool on t's device."""
    return t % of == 1 % of


def closing(t: Tensor, of: int = 2) -> Tensor:
    """Whether it is the last."""
    return t % of == 0


def pick(first: Tensor, a: Any, b: Any) -> Field:
    """a where `first`, else b, chosen on the device: an infinite number in the other does no harm.

    >>> pick(opening(torch.tensor(3.0)), torch.ones(2), torch.zeros(2)).tolist()
    [1.0, 1.0]
    """
    return each(lambda x, y: torch.where(first, x, y), a, b)
