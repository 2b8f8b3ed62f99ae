"""What a wrong lr costs: every optimizer at a tenth to ten times its tuned or default lr."""

import math
from dataclasses import replace
from inspect import signature

from fallline.race.runner import Runner
from fallline.race.store import Record, Store
from fallline.race.suite import score
from fallline.race.suite.entrant import MAKERS, YARDSTICK, Entrant, Ours, Point
from fallline.race.suite.origin import built
from fallline.race.suite.suite import Runs, Suite, Tick, best, final, point
from fallline.race.suite.trial import Trial, work

FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)


def turned(entrants: list[Entrant]) -> list[Entrant]:
    """One entrant for each optimizer whose lr can be turned: the tuned one, where there is one."""
    found: dict[str, Entrant] = {}
    for entrant in sorted(entrants, key=lambda e: not e.lrs):
        found.setdefault(entrant.maker, entrant)
    return [entrant for entrant in found.values() if turns(entrant.maker)]


def turns(maker: str) -> bool:
    """Whether an optimizer takes an lr."""
    make = MAKERS[maker]
    return not isinstance(make, Ours) or "lr" in signature(make.kind).parameters


def centre(entrant: Entrant, records: list[Record]) -> Point:
    """The configuration to start from, with its lr in numbers."""
    top = point(best(records)[0])
    return top if top.lr is not None else replace(top, lr=float(built(entrant.maker).param_groups[0]["lr"]))


def shifts(suite: Suite, runs: Runs) -> dict[tuple[str, str, float], Trial]:
    """By problem, entrant and factor: the first seed with a wrong lr. Factor 1 has run already."""
    found = {}
    for problem in suite.course:
        for entrant in turned(suite.field):
            middle = centre(entrant, runs[problem.name, entrant.name])
            for factor in FACTORS:
                wrong = replace(middle, lr=float(f"{(middle.lr or 0.0) * factor:.3g}"))
                if factor != 1:
                    found[problem.name, entrant.name, factor] = suite.trials(problem, entrant, [wrong])[0]
    return found


def robustness(suite: Suite, runs: Runs, tick: Tick) -> list[Record]:
    """For every optimizer and factor: its final loss over the tuned yardstick's, the geometric mean over problems."""
    trials = shifts(suite, runs)
    records = Runner(Store(suite.out / "runs"), suite.data, suite.workers, work).run(
        list(trials.values()), suite.punctual(tick)
    )
    finals = {place: final(record) for place, record in zip(trials, records, strict=True)}
    finals |= {(*place, 1.0): final(best(kept)[0]) for place, kept in runs.items()}
    return [
        row(
            entrant.name,
            factor,
            [(finals[p.name, entrant.name, factor], finals[p.name, YARDSTICK, 1.0]) for p in suite.course],
        )
        for entrant in turned(suite.field)
        for factor in FACTORS
    ]


def row(entrant: str, factor: float, pairs: list[tuple[float, float]]) -> Record:
    """One dot of the plot; a problem counts as the limit at most, a failure as just that."""
    ratios = [mine / tuned for mine, tuned in pairs]
    return {
        "entrant": entrant,
        "factor": factor,
        "loss": score.middle(ratios),
        "failures": sum(map(math.isinf, ratios)),
    }
