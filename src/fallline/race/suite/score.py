"""Scores from plain numbers: when a target was reached, profiles of ratios, regret."""

import math
from collections.abc import Sequence

LIMIT = 4.0  # where the profile ends
Path = Sequence[tuple[float, float | None]]  # (steps or seconds, validation) in the order of a run


def reached(path: Path, target: float) -> float:
    """The first place of a run at which the validation is at or below the target; infinite if there is none.

    >>> reached([(0, 2.0), (10, None), (20, 0.9), (30, 1.1)], 1.0), reached([(0, 2.0)], 1.0)
    (20, inf)
    """
    return next((where for where, value in path if value is not None and value <= target), math.inf)


def ratios(costs: Sequence[float]) -> list[float]:
    """Every entrant's cost on one problem over the lowest; infinite where nobody has a finite one.

    >>> ratios([20.0, 10.0, math.inf]), ratios([math.inf])
    ([2.0, 1.0, inf], [inf])
    """
    least = min(costs)
    return [
        1.0 if cost == least < math.inf else cost / least if least and math.isfinite(cost) else math.inf
        for cost in costs
    ]


def profile(found: Sequence[float], tau: float) -> float:
    """The share of problems on which an entrant's ratio is at most tau.

    >>> profile([1.0, 2.0, math.inf], 1.5)
    0.333
    """
    return sum(r <= tau for r in found) / len(found)


def area(found: Sequence[float]) -> float:
    """The profile's mean over tau from 1 to 4: a problem with ratio r adds (4 - r) / 3 of its share.

    >>> area([1.0, 2.5, 9.0, math.inf])
    0.375
    """
    return sum(max(0.0, LIMIT - r) for r in found) / (LIMIT - 1) / len(found)


def regret(finals: Sequence[float], tuned: Sequence[float]) -> float:
    """The largest final loss over the tuned one of its problem, less 1.

    >>> regret([1.0, 3.0], [1.0, 2.0])
    0.5
    """
    return max(mine / best for mine, best in zip(finals, tuned, strict=True)) - 1


def middle(found: Sequence[float]) -> float:
    """Geometric mean of ratios, none of them counted as more than the limit.

    >>> middle([1.0, math.inf])
    2.0
    """
    return math.exp(sum(math.log(min(r, LIMIT)) for r in found) / len(found))
