"""Recommend: ask every rule of the table, at a level that holds their risk together, and sort what they say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .advice import KEEP, Advice, Recommendation
from .case import Case, Counsel
from .counsel import NO_SIGNAL, TABLE, no_signal
from .curvature import Curvature
from .estimate import Estimate, Heard, Reading
from .sharpness import Sharpness

LEAST = 8  # stretches of steps, with fewer of which intervals are not to be trusted
WINDOWS = 2  # that must have been heard

Asked = tuple[Counsel, Case, Estimate | str]


def advised(
    heard: Heard, level: float = 0.95, sharp: Sequence[Sharpness] = (), curvature: Curvature | None = None
) -> Recommendation:
    """What to change, most of all first, or to keep; by chance something is advised in a share 1 - level of runs.

    Of N questions that could be asked each one is asked at level 1 - 2 (1 - level) / N (Bonferroni; 2, since only one
    end of an interval counts), and passes if the whole interval lies above the least effect that matters. At most one
    advice is given for each scope and change: the first of the table that passes, of equal kinds the one of most gain.
    Roles that are told the same share one advice.
    """
    if not 0 < level < 1:
        raise ValueError(f"Invalid level: {level!r}; a share of runs without false advice, such as 0.95.")
    first = list(_ask(heard, heard.level, sharp, curvature))
    n = sum(isinstance(x, Estimate) for _, _, x in first)
    each = 1 - 2 * (1 - level) / max(n, 2)
    asked = list(_ask(heard, each, sharp, curvature))
    silent = _silent(asked)
    known = tuple(dict.fromkeys(row.name for row, _, x in asked if isinstance(x, Estimate)))
    few = heard.stretches < LEAST or heard.steps < WINDOWS * heard.window
    passed = [] if few else [(row, case, x) for row, case, x in asked if isinstance(x, Estimate) and x.low > row.least]
    against = {(row.name, case.reading.name): words for row, case, _ in passed if (words := row.unless(case))}
    spoken = [_advice(row, case, x, level) for row, case, x in passed if (row.name, case.reading.name) not in against]
    kept = _few(heard) if few else _kept(asked, against, level)
    mixed = any(one.change == "regime" for one, _ in spoken)
    advice = tuple(_doubted(one) if mixed else one for one in _best(spoken)) or (kept,)
    return Recommendation(advice, known, silent, heard.steps, level)


def _ask(
    heard: Heard, level: float, sharp: Sequence[Sharpness], curvature: Curvature | None
) -> Iterator[tuple[Counsel, Case, Estimate | str]]:
    scopes = {"total": [heard.total], "role": list(heard.roles.values())}
    for row in TABLE:
        for reading in scopes[row.scopes]:
            case = Case(heard, reading, tuple(sharp), curvature, level)
            found = row.reads(case)
            if found is not None:
                yield row, case, found


def _silent(asked: Sequence[Asked]) -> dict[str, str]:
    """Rules that had what they read nowhere, and what they lacked."""
    heard = {row.name for row, _, x in asked if isinstance(x, Estimate)}
    return {row.name: x for row, _, x in asked if isinstance(x, str) and row.name not in heard}


def _advice(row: Counsel, case: Case, x: Estimate, level: float) -> tuple[Advice, float]:
    said = row.says(case, x)
    one = Advice(
        change=row.change,
        scope=case.reading.name,
        what=said.what,
        why=said.why,
        effect=said.effect,
        settings=said.settings,
        sure=level if said.claim else math.nan,
        evidence=x,
        threshold=row.least,
        rule=row.name,
        statistic=row.statistic,
        source=row.source,
    )
    return one, said.gain


def _best(spoken: Sequence[tuple[Advice, float]]) -> list[Advice]:
    """One for each scope and change, the largest gain first.

    Kinds of evidence go by the table: what knows the curvature goes before what does not.
    """
    kinds = {row.name: row.statistic for row in TABLE}
    order = list(dict.fromkeys(row.statistic for row in TABLE))
    found: dict[tuple[str, str], tuple[Advice, float]] = {}
    for one, gain in sorted(spoken, key=lambda pair: (order.index(kinds[pair[0].rule]), -pair[1])):
        found.setdefault((one.scope, one.change), (one, gain))
    return _joined([one for one, _ in sorted(found.values(), key=lambda pair: -pair[1])])


def _joined(advice: Sequence[Advice]) -> list[Advice]:
    """What several roles are told alike is said once, with the evidence of the role where it is weakest."""
    alike: dict[tuple[str, str], list[Advice]] = {}
    for one in advice:
        alike.setdefault((one.rule, one.what), []).append(one)
    return [
        replace(many[-1], scope=", ".join(one.scope for one in many), why=f"In {many[-1].scope}, the least: {lower}")
        if (lower := many[-1].why[0].lower() + many[-1].why[1:]) and len(many) > 1
        else many[0]
        for many in alike.values()
    ]


def _doubted(one: Advice) -> Advice:
    """Advice from numbers that mix two regimes."""
    if one.change == "regime":
        return one
    return replace(one, sure=math.nan, why=one.why + " The run changed meanwhile, so that this is less sure.")


def _few(heard: Heard) -> Advice:
    need = max(8 * LEAST, WINDOWS * heard.window)
    return _keep(f"Only {heard.steps} steps were heard; {need} or more are needed.")


def _kept(asked: Sequence[Asked], against: dict[tuple[str, str], str], level: float) -> Advice:
    """Why nothing is to be changed."""
    total: Reading | None = None
    case = next(case for row, case, _ in asked if row.scopes == "total")
    total = case.reading
    number = sum(isinstance(x, Estimate) for _, _, x in asked)
    if no_signal(case):
        words = f"There is {NO_SIGNAL}, in {case.heard.steps} steps."
    elif against:
        words = "; ".join(f"{scope}, {name}: {said}" for (name, scope), said in against.items()) + "."
        words = words[0].upper() + words[1:]
    else:
        words = (
            f"None of {number} questions found more than the least effect that matters, at a risk of {1 - level:.2g}"
        )
        words += " for all together."
    if total.update is not None:
        words += f" A step is {total.update.value:.2g} of the weights."
    return _keep(words)


def _keep(why: str) -> Advice:
    return Advice(KEEP, "total", "Keep what you have.", why, "none", {}, math.nan, None, None, KEEP, "", "")
