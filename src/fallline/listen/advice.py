"""Advice: what to change, why, with what effect, and how sure that is; as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from .estimate import Estimate, plain

KEEP = "keep"


@final
@dataclass(frozen=True)
class Advice:
    """One thing to change, or to keep.

    change: "momentum", "metric", "learning rate", "batch size", "regime" (the run itself changed), or KEEP. scope:
    "total" or roles, with commas between. what, why, effect: sentences for a person. settings: the same for a program,
    such as {"momentum": 0.95} or {"metric": "spectral"}; empty where nothing is to be set. sure: the level at which the
    statistic passed, or nan where the rule makes no such claim. evidence: the statistic, and what it had to pass.
    rule, statistic, source: the row of the table of rules that speaks.

    >>> held = Estimate(0.08, 0.03, 0.12, 0.99)
    >>> advice = Advice("momentum", "hidden", "Raise it to 0.97.", "It pays 8 % more.", "+8 %", {"momentum": 0.97},
    ...     0.99, held, 0.02, "momentum", "pay margin", "arXiv 2512.06370")
    >>> str(advice)
    'hidden, momentum: Raise it to 0.97. It pays 8 % more.'
    """

    change: str
    scope: str
    what: str
    why: str
    effect: str
    settings: dict[str, float | str]
    sure: float
    evidence: Estimate | None
    threshold: float | None
    rule: str
    statistic: str
    source: str

    def __str__(self) -> str:
        return f"{self.scope}, {self.change}: {self.what} {self.why}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """One by one."""
        return tuple(self.scope.split(", "))


@final
@dataclass(frozen=True)
class Recommendation:
    """What to change, most of all first; where there is nothing, one advice to keep what is there, and why.

    asked: the rules that had what they read; silent: those that had not, and what they lacked. steps: heard.
    """

    advice: tuple[Advice, ...]
    asked: tuple[str, ...]
    silent: dict[str, str]
    steps: int
    level: float

    @property
    def changes(self) -> tuple[Advice, ...]:
        """Without what is to be kept."""
        return tuple(one for one in self.advice if one.change != KEEP)

    def __str__(self) -> str:
        return "\n".join(map(str, self.advice))

    def json(self) -> dict[str, Any]:
        """Dicts, lists, numbers and words; None for what is not finite."""
        told: dict[str, Any] = plain(self)
        return told
