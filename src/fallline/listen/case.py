"""Case: what a rule of the table is asked about, what a rule is, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

from .curvature import Curvature
from .estimate import Estimate, Heard, Reading
from .sharpness import Sharpness
from .student import widened


@final
@dataclass(frozen=True)
class Case:
    """A scope of what was heard, with what was measured on request, and the level at which each question is asked."""

    heard: Heard
    reading: Reading
    sharp: tuple[Sharpness, ...]
    curvature: Curvature | None
    level: float

    def at(self, x: Estimate) -> Estimate:
        """An estimate at the case's level."""
        return widened(x, self.level)


class Saying(NamedTuple):
    """What a rule says when its statistic has passed. gain: by which advice is sorted; claim: whether its effect is
    known well enough to call the level at which the statistic passed a sureness."""

    what: str
    why: str
    effect: str
    settings: dict[str, float | str]
    gain: float
    claim: bool = True


@final
@dataclass(frozen=True)
class Counsel:
    """A row of the table: it speaks where the whole interval of its statistic lies above `least`.

    scopes: "role" or "total". reads: the statistic of a case; words where it was not heard, and what it lacks; None
    where there is nothing to ask, such as whether the metric in use beats itself. unless: what speaks against it,
    though it has passed. source: the paper; statistic: what it reads, in words.
    """

    name: str
    change: str
    scopes: str
    source: str
    statistic: str
    least: float
    reads: Callable[[Case], Estimate | str | None]
    unless: Callable[[Case], str | None]
    says: Callable[[Case, Estimate], Saying]
