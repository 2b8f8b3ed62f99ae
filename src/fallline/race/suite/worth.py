"""What every part of Auto is worth: its changes beside it on all problems."""

from dataclasses import replace

from fallline.race.store import Record
from fallline.race.suite import score
from fallline.race.suite.ablation import CHANGES
from fallline.race.suite.problem import PROBLEMS
from fallline.race.suite.standing import HALVES, Standing, belongs, known, standings
from fallline.race.suite.suite import Suite, Tick

WHOLE = "auto"


def ablation(suite: Suite, tick: Tick) -> list[Record]:
    """Auto and each of its changes: by half the geometric mean of final over tuned loss, and by problem that ratio."""
    names = (WHOLE, *(f"{WHOLE} {change}" for change in CHANGES))
    found = standings(replace(suite, entrants=names).runs(tick))
    return [row(name, [s for s in found if s.entrant == name]) for name in names]


def row(name: str, mine: list[Standing]) -> Record:
    """One of them; ratios above the limit count as the limit, and so do failures."""
    ratios = {s.problem: s.final / s.tuned for s in mine}
    return {
        "entrant": name,
        "meaning": CHANGES.get(name.removeprefix(f"{WHOLE} "), "as it is"),
        **{half: mean([r for problem, r in ratios.items() if belongs(problem, half)]) for half in HALVES},
        "worst": known(max(ratios.values())),
        "failures": sum(s.final == float("inf") for s in mine),
        "problems": {problem: known(ratios[problem]) for problem in PROBLEMS if problem in ratios},
    }


def mean(ratios: list[float]) -> float | None:
    """The geometric mean; None of nothing."""
    return score.middle(ratios) if ratios else None
