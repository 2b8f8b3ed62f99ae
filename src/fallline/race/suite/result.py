"""The results file: everything that tables and pictures show, as plain data."""

from fallline.race.environment import environment
from fallline.race.race import listed
from fallline.race.store import Record, write_json
from fallline.race.suite import standing
from fallline.race.suite.entrant import YARDSTICK
from fallline.race.suite.shift import robustness
from fallline.race.suite.suite import Suite, Tick
from fallline.race.suite.worth import ablation

VERSION = 1
TAUS = tuple(1 + k / 50 for k in range(151))  # where profiles are drawn


def result(suite: Suite, tick: Tick, shift: bool, ablate: bool = False) -> Record:
    """Run what is missing, then write and return the results; `shift`: wrong learning rates, `ablate`: Auto's parts."""
    runs = suite.runs(tick)
    found = standing.standings(runs)
    told = listed(
        {
            "version": VERSION,
            "quick": suite.quick,
            "seeds": suite.count,
            "environment": environment(),
            "problems": [
                described(suite, problem.name, standing.target(runs, problem.name)) for problem in suite.course
            ],
            "entrants": [entrant.name for entrant in suite.field],
            "skipped": suite.skipped,
            "yardstick": YARDSTICK,
            "scores": standing.scores(found),
            "profiles": standing.curves(found, TAUS),
            "standings": [one.record for one in found],
            "runs": sum(len(records) for records in runs.values()),
            "seconds": round(sum(record["seconds"] for records in runs.values() for record in records)),
            "commits": sorted({str(record["commit"]) for records in runs.values() for record in records}),
            "shift": robustness(suite, runs, tick) if shift else None,
            "ablation": ablation(suite, tick) if ablate else None,
        }
    )
    write_json(suite.out / "results.json", told)
    return told


def described(suite: Suite, name: str, target: float) -> Record:
    """A problem in words, and its target."""
    problem = next(p for p in suite.course if p.name == name)
    return {
        "name": name,
        "kind": problem.kind,
        "half": problem.half,
        "title": problem.title,
        "metric": problem.metric,
        "steps": suite.steps(problem),
        "target": standing.known(target),
    }
