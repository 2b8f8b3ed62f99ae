"""The suite from what is asked for to its records: sweeps, and wider ones where their best is at an edge."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from fallline.race.runner import Runner
from fallline.race.store import Record, Store
from fallline.race.suite.entrant import Entrant, Point, entered
from fallline.race.suite.origin import origin
from fallline.race.suite.problem import Problem, wanted
from fallline.race.suite.trial import Trial, work

LADDER = tuple(float(f"{digit}e{power}") for power in range(-6, 3) for digit in (1, 3))  # where a sweep may go on
WIDER = 2  # how often
Tick = Callable[[Record, bool], None]
Runs = dict[tuple[str, str], list[Record]]  # by problem and entrant


@dataclass(frozen=True)
class Suite:
    """Problems and entrants (empty: all), how many seeds, and where results go.

    quick: one seed, half the steps, thin sweeps. hours: no run starts after them; 0 is no limit.
    """

    out: Path
    problems: tuple[str, ...] = ()
    entrants: tuple[str, ...] = ()
    seeds: int = 0
    quick: bool = False
    data: Path | None = None
    workers: int = 1
    hours: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def course(self) -> list[Problem]:
        """The problems to run."""
        return wanted(self.problems, self.data)

    @property
    def field(self) -> list[Entrant]:
        """The entrants that can run."""
        return [entrant for entrant in entered(self.entrants) if entrant.missing is None]

    @property
    def skipped(self) -> dict[str, str]:
        """Those that cannot, and why."""
        return {entrant.name: entrant.missing for entrant in entered(self.entrants) if entrant.missing}

    @property
    def count(self) -> int:
        """How many seeds."""
        return self.seeds or (1 if self.quick else 3)

    def steps(self, problem: Problem) -> int:
        """Steps of a run."""
        return problem.steps // (2 if self.quick else 1)

    def trials(self, problem: Problem, entrant: Entrant, points: list[Point]) -> list[Trial]:
        """These configurations with every seed."""
        mark, steps = problem.fingerprint(self.data), self.steps(problem)
        numbers, source = entrant.numbers, origin(entrant.maker)
        return [
            Trial(problem.name, mark, entrant.maker, p.lr, p.beta, p.schedule, numbers, seed, steps, source)
            for p in points
            for seed in range(self.count)
        ]

    @property
    def size(self) -> int:
        """How many runs it has, those beyond the edge of a sweep not counted."""
        sweeps = [self.trials(p, e, e.points(self.quick)) for p in self.course for e in self.field]
        return len({trial.key for sweep in sweeps for trial in sweep})

    def runs(self, tick: Tick) -> Runs:
        """All records: the sweeps, then what lies beyond an edge."""
        runner, found = Runner(Store(self.out / "runs"), self.data, self.workers, work), Runs()
        jobs = {(p.name, e.name): self.trials(p, e, e.points(self.quick)) for p in self.course for e in self.field}
        for _ in range(WIDER + 1):
            records = runner.run([t for trials in jobs.values() for t in trials], self.punctual(tick))
            for place, trials in jobs.items():
                found[place] = found.get(place, []) + [records.pop(0) for _ in trials]
            jobs = {
                (p.name, e.name): self.trials(p, e, beyond(e, found[p.name, e.name]))
                for p in self.course
                for e in self.field
            }
        return found

    def punctual(self, tick: Tick) -> Tick:
        """The same tick, which ends the suite when its hours are over."""

        def timed(record: Record, fresh: bool) -> None:
            tick(record, fresh)
            if fresh and self.hours and time.monotonic() - self.started > 3600 * self.hours:
                raise TimeoutError(
                    f"The {self.hours:g} hours of --budget are over; what ran is kept. Go on with the same words."
                )

        return timed


def final(record: Record) -> float:
    """The last validation; infinite for a failure."""
    return math.inf if record["final"] is None else float(record["final"])


def point(record: Record) -> Point:
    """The configuration of a record."""
    return Point(*(record["trial"][name] for name in ("lr", "beta", "schedule")))


def swept(records: list[Record]) -> dict[Point, list[Record]]:
    """Records by configuration, each in the order of the seeds."""
    found: dict[Point, list[Record]] = {}
    for record in sorted(records, key=lambda r: int(r["trial"]["seed"])):
        found.setdefault(point(record), []).append(record)
    return found


def best(records: list[Record]) -> list[Record]:
    """The runs of the configuration whose mean final loss is lowest; the first of equal ones."""
    return min(swept(records).values(), key=lambda runs: fmean(map(final, runs)))


def beyond(entrant: Entrant, records: list[Record]) -> list[Point]:
    """The next lr on the ladder, if the best of the sweep is at its edge."""
    top = best(records)
    if not entrant.lrs or math.isinf(final(top[0])):
        return []
    lrs, place = sorted({point(r).lr or 0.0 for r in records}), LADDER.index(point(top[0]).lr or 0.0)
    steps = [place + 1] * (lrs[-1] == LADDER[place]) + [place - 1] * (lrs[0] == LADDER[place])
    return [replace(point(top[0]), lr=LADDER[k]) for k in steps if 0 <= k < len(LADDER)]
