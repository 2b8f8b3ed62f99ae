"""Line: what a progress bar has room for, from the numbers that groups show."""

from __future__ import annotations

from typing import Any

from .dial import shown_momentum

Group = dict[str, Any]


def line(groups: list[Group]) -> str:
    """Learning rate, momentum and skipped steps in one line; where groups differ, from the least to the largest."""
    shown = {
        "lr": [group["lr"] for group in groups],
        "momentum": [shown_momentum(group) for group in groups],
        "effective lr": [group.get("effective_lr") for group in groups],
        "skipped": [groups[0]["skipped"] or None],
    }
    told = {word: [float(x) for x in values if x is not None] for word, values in shown.items()}
    return ", ".join(f"{word} {_span(values)}" for word, values in told.items() if values)


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
