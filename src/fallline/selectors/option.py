"""What all selectors share: their options with the checks, and how a single choice is written."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..core.chooser import SCOPES
from ..statistics.alignment import SCORES

POWERS = ("exact", "asymptotic")


def check(selector: Any) -> None:
    """Raise unless scope, score and power are known words and smoothing lies in [0, 1)."""
    for name, words in (("scope", SCOPES), ("score", SCORES), ("power", POWERS)):
        if getattr(selector, name) not in words:
            raise ValueError(
                f"Invalid {name}: {getattr(selector, name)!r}; choose one of {', '.join(map(repr, words))}."
            )
    smoothing = getattr(selector, "smoothing", 0.0)
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"Invalid smoothing: {smoothing!r}; a decay factor lies in [0, 1).")


@lru_cache(maxsize=64)
def one_hot(k: int, device: torch.device) -> Tensor:
    """Row i stands for the choice of candidate i."""
    return torch.eye(k, dtype=torch.float64, device=device)
