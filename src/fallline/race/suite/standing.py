"""From runs to standings: targets, what each entrant reached where, scores of all problems and of both halves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from fallline.race.store import Record
from fallline.race.suite import score
from fallline.race.suite.entrant import YARDSTICK, Point
from fallline.race.suite.problem import CHOSEN, HELD_OUT, PROBLEMS
from fallline.race.suite.suite import Runs, best, final, point

LOOSE = 1.05  # the second target, times the first
NEAR = 1.02  # as good as the tuned yardstick
HALVES = ("all", CHOSEN, HELD_OUT)
COSTS = ("steps", "steps_loose", "seconds", "seconds_loose")


@dataclass(frozen=True)
class Standing:
    """One entrant on one problem, at its best configuration; costs are medians over seeds, infinite if not reached."""

    problem: str
    entrant: str
    point: Point
    finals: tuple[float, ...]
    tuned: float
    costs: tuple[float, ...]

    @property
    def final(self) -> float:
        """Mean over seeds; infinite if one failed."""
        return fmean(self.finals)

    @property
    def record(self) -> Record:
        """As plain data; null is infinite."""
        return {
            "problem": self.problem,
            "entrant": self.entrant,
            "lr": self.point.lr,
            "beta": self.point.beta,
            "schedule": self.point.schedule,
            "final": known(self.final),
            "finals": [known(x) for x in self.finals],
            "to_tuned": known(self.final / self.tuned - 1),
            **{name: known(cost) for name, cost in zip(COSTS, self.costs, strict=True)},
        }


def known(x: float) -> float | None:
    """The number, or null for what JSON cannot say."""
    return x if math.isfinite(x) else None


def target(runs: Runs, problem: str) -> float:
    """The median over seeds of the tuned yardstick's final loss."""
    return median(map(final, best(runs[problem, YARDSTICK])))


def standings(runs: Runs) -> list[Standing]:
    """Every entrant on every problem."""
    return [stand(runs, problem, entrant) for problem, entrant in runs]


def stand(runs: Runs, problem: str, entrant: str) -> Standing:
    """One entrant on one problem."""
    mine, aim = best(runs[problem, entrant]), target(runs, problem)
    costs = tuple(
        median(score.reached([(p[axis], p[1]) for p in run["points"]], aim * ease) for run in mine)
        for axis in (0, 2)
        for ease in (1.0, LOOSE)
    )
    tuned = fmean(map(final, best(runs[problem, YARDSTICK])))
    return Standing(problem, entrant, point(mine[0]), tuple(map(final, mine)), tuned, costs)


def scores(found: list[Standing]) -> list[Record]:
    """For all problems and each half: every entrant's areas, regret, share near the tuned yardstick, and failures."""
    return [one for half in HALVES for one in scored(half, [s for s in found if belongs(s.problem, half)])]


def belongs(problem: str, half: str) -> bool:
    """Whether a problem counts for a half, or for all."""
    return half in ("all", PROBLEMS[problem].half)


def scored(half: str, found: list[Standing]) -> list[Record]:
    """The entrants on these problems, the best area first."""
    areas = {name: areas_of(found, k) for k, name in enumerate(COSTS)}
    rows = []
    for entrant in dict.fromkeys(s.entrant for s in found):
        mine = [s for s in found if s.entrant == entrant]
        rows.append(
            {
                "half": half,
                "entrant": entrant,
                **{name: by[entrant] for name, by in areas.items()},
                "regret": known(score.regret([s.final for s in mine], [s.tuned for s in mine])),
                "near": fmean(s.final <= NEAR * s.tuned for s in mine),
                "failures": sum(math.isinf(s.final) for s in mine),
                "problems": len(mine),
            }
        )
    return sorted(rows, key=lambda row: -float(row["steps"]))


def areas_of(found: list[Standing], cost: int) -> dict[str, float]:
    """The area under each entrant's profile of one cost."""
    return {entrant: score.area(mine) for entrant, mine in profiles(found, cost).items()}


def profiles(found: list[Standing], cost: int) -> dict[str, list[float]]:
    """Every entrant's ratios to the best, a number for each problem."""
    ratios: dict[str, list[float]] = {}
    for problem in dict.fromkeys(s.problem for s in found):
        here = [s for s in found if s.problem == problem]
        for s, ratio in zip(here, score.ratios([s.costs[cost] for s in here]), strict=True):
            ratios.setdefault(s.entrant, []).append(ratio)
    return ratios


def curves(found: list[Standing], taus: Sequence[float]) -> Record:
    """The profiles of steps to the first target: by half and entrant, the share of problems at every tau."""
    return {
        half: {
            entrant: [score.profile(mine, tau) for tau in taus]
            for entrant, mine in profiles([s for s in found if belongs(s.problem, half)], 0).items()
        }
        for half in HALVES
    }
