"""Entry: one line of the registry, and how recipes are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..core.descent import Descent
from .adam import AdamW
from .routed import BY_SHAPE


@dataclass(frozen=True)
class Entry:
    """One optimizer: where it comes from, what it says, and `build(params)`."""

    name: str
    paper: str
    sentence: str
    build: Callable[[Any], Descent]


def cast(kind: Callable[..., Descent], lr: float, **numbers: Any) -> Callable[[Any], Descent]:
    """A recipe that takes parameters without a model: those of two axes or more are matrices."""
    return partial(kind, lr=lr, **numbers, roles=BY_SHAPE)


def of_adamw(
    params: Any, kind: Callable[..., Descent], lr: float, weight_decay: float = 0.01, **numbers: Any
) -> Descent:
    """A recipe of what goes around AdamW."""
    return kind(AdamW(params, lr, weight_decay=weight_decay), **numbers)


CHOOSES = "Lee & Lee, arXiv 2512.06370"
