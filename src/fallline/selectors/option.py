"""The options that all selectors share, and their checks."""

from __future__ import annotations

from typing import Any

from ..statistics.alignment import SCORES

SCOPES = ("global", "parameter")
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
