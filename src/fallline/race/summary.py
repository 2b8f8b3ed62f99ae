"""From runs to rows: each contender at its best lr, against the best fixed momentum and against its own bank.

Where no fixed momentum was raced, the first of the named optimizers is the yardstick.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from fallline.race.contender import CONTROLS, FIRST, NAMED
from fallline.race.store import Record

ORDER = (*FIRST, NAMED, *CONTROLS)


def score(record: Record) -> float:
    """The validation number; infinite where the run diverged."""
    return math.inf if record["validation"] is None else float(record["validation"])


def spread(values: list[float]) -> float | None:
    """Standard deviation over seeds; None where one seed or a diverged one leaves it unknown."""
    return stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None


@dataclass(frozen=True)
class Cell:
    """The runs of one contender at one lr and schedule, in the order of the seeds."""

    contender: str
    label: str
    schedule: str
    lr: float
    scores: tuple[float, ...]
    momentum: float | None
    bank: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds; infinite when any of them diverged."""
        return fmean(self.scores)

    def against(self, other: "Cell") -> tuple[float, float | None]:
        """Difference to another cell, seed by seed, as a share of its mean: mean and deviation; negative is better."""
        if not (math.isfinite(self.mean) and math.isfinite(other.mean)):
            return (0.0 if self.mean == other.mean else math.copysign(math.inf, self.mean - other.mean)), None
        shares = [(mine - theirs) / other.mean for mine, theirs in zip(self.scores, other.scores, strict=True)]
        return fmean(shares), spread(shares)


def cells(records: list[Record]) -> list[Cell]:
    """Runs gathered over their seeds."""
    found: dict[tuple[str, str, float], list[Record]] = {}
    for record in records:
        s = record["setting"]
        found.setdefault((record["label"], s["schedule"], s["lr"]), []).append(record)
    return [cell(sorted(runs, key=lambda r: int(r["setting"]["seed"]))) for runs in found.values()]


def cell(runs: list[Record]) -> Cell:
    """The cell of runs that differ only in their seed."""
    s = runs[0]["setting"]
    return Cell(
        s["contender"],
        runs[0]["label"],
        s["schedule"],
        s["lr"],
        tuple(map(score, runs)),
        s["momentum"],
        tuple(runs[0]["candidates"]),
    )


def best(found: Iterable[Cell]) -> Cell | None:
    """The cell with the lowest mean."""
    return min(found, key=lambda c: c.mean, default=None)


def yardstick(found: list[Cell]) -> Cell | None:
    """The best fixed momentum, or the first named optimizer at its best lr."""
    first = next((c.label for c in found if c.contender == NAMED), None)
    return best(c for c in found if c.contender == "fixed") or best(c for c in found if c.label == first)


def bank_member(mine: Cell, all_cells: list[Cell]) -> Cell | None:
    """The best fixed momentum of a cell's own bank at the same lr and schedule."""
    same = [c for c in all_cells if c.contender == "fixed" and (c.lr, c.schedule) == (mine.lr, mine.schedule)]
    return best(c for c in same if any(math.isclose(c.momentum or 0.0, beta) for beta in mine.bank))


def certain(difference: float, deviation: float | None, seeds: int) -> bool:
    """Whether a paired difference is more than chance: |mean| > t s / sqrt(n), Student's t at 95 %."""
    from scipy.stats import t

    return deviation is not None and abs(difference) > float(t.ppf(0.975, seeds - 1)) * deviation / math.sqrt(seeds)


def comparison(mine: Cell, other: Cell | None) -> Record | None:
    """How much worse (+) or better (-) than another cell, as plain data; null is infinite or unknown."""
    if other is None:
        return None
    difference, deviation = mine.against(other)
    return {
        "other": other.label,
        "lr": other.lr,
        "difference": difference if math.isfinite(difference) else None,
        "spread": deviation,
        "certain": certain(difference, deviation, len(mine.scores)),
    }


def row(mine: Cell, all_cells: list[Cell]) -> Record:
    """One line of the table: a contender at its best lr."""
    same = [c for c in all_cells if c.schedule == mine.schedule]
    diverged = sum(not math.isfinite(x) for c in same if c.label == mine.label for x in c.scores)
    return {
        "label": mine.label,
        "contender": mine.contender,
        "schedule": mine.schedule,
        "lr": mine.lr,
        "validation": mine.mean if math.isfinite(mine.mean) else None,
        "spread": spread(list(mine.scores)),
        "seeds": len(mine.scores),
        "diverged_runs": diverged,
        "edge": mine.lr in edges([c for c in same if c.label == mine.label]),
        "to_best_fixed": comparison(mine, yardstick(same)),
        "to_bank": comparison(mine, bank_member(mine, all_cells)),
    }


def edges(found: list[Cell]) -> set[float]:
    """The smallest and the largest lr tried, where more than two were."""
    lrs = sorted({c.lr for c in found})
    return {lrs[0], lrs[-1]} if len(lrs) > 2 else set()


def rows(records: list[Record]) -> list[Record]:
    """The table: for each schedule the contenders at their best lr, fixed ones first."""
    all_cells = cells(records)
    groups: dict[tuple[str, str], list[Cell]] = {}
    for c in all_cells:
        groups.setdefault((c.schedule, c.label), []).append(c)
    tops = [min(group, key=lambda c: c.mean) for group in groups.values()]
    tops.sort(key=lambda c: (c.schedule, ORDER.index(c.contender), c.momentum or 0.0))
    return [row(c, all_cells) for c in tops]
