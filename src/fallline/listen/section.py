"""Section: the parts of the page in the order in which a person asks, each with its plots, tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from . import figure, quantity
from .chart import Plot, earnings, in_use, lags, pays, plot, scale
from .estimate import Heard, Reading
from .figure import Row
from .quantity import FAMILIES, METRICS
from .sheet import Sheet, sheet
from .word import many, number, said, share

RISK_SAID = "each statistic of each scope is to raise a false alarm in 1 % of whole runs, where nothing drifts"


@final
@dataclass(frozen=True)
class Section:
    """mark: its id. keys: (look, what it stands for) of the plots' signs."""

    mark: str
    title: str
    text: str
    keys: tuple[tuple[str, str], ...] = ()
    plots: tuple[Plot, ...] = ()
    sheets: tuple[Sheet, ...] = ()


def sections(heard: Heard) -> list[Section]:
    """What was heard in total and of roles."""
    scopes = [heard.total, *heard.roles.values()]
    return [
        momentum(heard.total),
        memory(heard.total),
        noise(scopes),
        families(scopes),
        shapes(scopes),
        updates(scopes),
        changes(heard),
    ]


# --- one after the other ----------------------------------------------------------------------------------------------


PAY_KEYS = (
    ("one", "on the same batch, with its 95 % band"),
    ("two", "without the noise of the batch"),
    ("dot one", "where the same-batch curve is highest, and how sure that is"),
    ("dot two", "where the clean curve is highest"),
    ("use", "momentum in use"),
)


def momentum(total: Reading) -> Section:
    """Pay over momentum."""
    rows = tuple(
        (METRICS.get(name, name), (one.best, one.best_clean, one.margin, one.margin_clean, share(one.limit)))
        for name, one in total.pay.items()
    )
    columns = ("best, same batch", "best, clean", "margin, same batch", "margin, clean", "can lose")
    return Section(
        "momentum",
        "Momentum",
        "What each momentum would earn: the drop of the loss per unit of learning rate, at equal power of the updates. "
        f"{in_use(total)} Where curves are flat the choice matters little.",
        tuple((look, text.replace("95 %", share(total.power.level))) for look, text in PAY_KEYS),
        tuple(pays(total, "pay")),
        (Sheet("Which momentum pays most, and by how much more than the one in use", "metric", columns, rows),)
        if rows
        else (),
    )


def memory(total: Reading) -> Section:
    """The autocorrelation."""
    return Section(
        "memory",
        "How long gradients agree",
        "The agreement of a gradient with those before it. What stays high at long lags is signal that a longer memory "
        "can use; what drops after lag 0 is the noise of single batches.",
        (("one", "autocorrelation, with its band"), ("dot two", "what is left at lag 0 without the noise")),
        tuple(lags(total, "memory")),
    )


def noise(scopes: Sequence[Reading]) -> Section:
    """Signal and noise."""
    total = scopes[0]
    found = {"lags": "extrapolated from later lags", "micro-batches": "from products of different micro-batches"}
    columns = [quantity.POWER, quantity.SIGNAL, quantity.NOISE, quantity.NOISE_SCALE]
    columns += [quantity.CRITICAL] if total.critical_batch else []
    critical = f" The critical batch size is {said(total.critical_batch)} samples." if total.critical_batch else ""
    return Section(
        "noise",
        "Signal and noise",
        f"The signal is {found.get(total.source, total.source)}. Noise over signal is {said(total.noise_scale)} in "
        f"total: below 1 larger batches would add little, far above 1 they would.{critical}",
        plots=(scale(scopes, quantity.NOISE_SCALE, "noise-scale", "Noise / signal"),),
        sheets=(sheet("Power of the gradient, and its parts", scopes, [*columns, quantity.PERSISTENCE]),),
    )


def families(scopes: Sequence[Reading]) -> Section:
    """What directions earn."""
    total = scopes[0]
    sheets = []
    for caption, of in (
        ("Elementwise families, on sampled coordinates", [r.families for r in scopes]),
        ("Matrix families, on tiles of whole matrices", [r.matrix_families for r in scopes]),
    ):
        names = list(dict.fromkeys(name for one in of for name in one))
        rows = tuple((r.name, tuple(one.get(name) for name in names)) for r, one in zip(scopes, of, strict=True))
        if names:
            sheets.append(Sheet(caption, "scope", tuple(FAMILIES.get(name, name) for name in names), rows))
    return Section(
        "directions",
        "Directions",
        "What updates of one fixed size would earn if their direction were made in another way from the same "
        "momentum. Bars whose intervals overlap are not told apart."
        if sheets
        else "No families of directions were heard: they need an optimizer that keeps a momentum.",
        plots=tuple(earnings(total, "directions")),
        sheets=tuple(sheets),
    )


def shapes(scopes: Sequence[Reading]) -> Section:
    """Stable ranks and imbalances."""
    seen = [r for r in scopes if r.gradient or r.buffer]
    if not seen:
        return Section(
            "shapes", "Shapes of matrices", "Too few matrices were looked at to say anything of their shape."
        )
    plots = []
    for name, title in (("stable_rank", "Stable rank"), ("rows", "Row imbalance"), ("columns", "Column imbalance")):
        rows = [Row(r.name, tuple(part and getattr(part, name) for part in (r.gradient, r.buffer))) for r in seen]
        words = "; ".join(f"{row.name}: gradient {said(row.values[0])}, momentum {said(row.values[1])}" for row in rows)
        drawn = figure.points(rows, title.lower() + ", 1 is the least", start=0.9)
        plots.append(plot(drawn, f"shapes-{name}", title, f"{title} by scope. {words}."))
    return Section(
        "shapes",
        "Shapes of matrices",
        "A stable rank near 1 means that a matrix moves in few directions, where a spectral metric differs most from "
        "Euclid. An imbalance far above 1 means that some rows or columns get most of the gradient.",
        (("dot one", "gradients"), ("box two", "momentum buffers of the optimizer")),
        tuple(plots),
    )


def updates(scopes: Sequence[Reading]) -> Section:
    """Updates over weights."""
    seen = [r for r in scopes if r.update is not None and not math.isnan(r.update.value)]
    if not seen:
        return Section("updates", "Updates and weights", "No steps of an optimizer were heard, only gradients.")
    return Section(
        "updates",
        "Updates and weights",
        f"One step changes the weights by {said(seen[0].update)} of their size"
        + (f", at a learning rate of {number(seen[0].lr)}." if seen[0].lr is not None else "."),
        plots=(scale(seen, quantity.UPDATE, "updates-plot", "Update / weights"),),
    )


def changes(heard: Heard) -> Section:
    """Alarms."""
    found = heard.changes
    if not found:
        text = f"No alarm in {many(heard.steps, 'step')}: nothing changed as far as can be told; {RISK_SAID}."
        return Section("changes", "Changes during the run", text)
    words = "; ".join(f"{c.scope}, {c.statistic}, before step {c.step}" for c in found)
    rows = tuple((str(c.step), (c.scope, c.statistic, number(c.evidence), share(c.risk))) for c in found)
    columns = ("scope", "statistic", "evidence", "risk of a false alarm")
    return Section(
        "changes",
        "Changes during the run",
        f"{many(len(found), 'alarm')}: before these steps something changed, and what was heard is an average over "
        f"before and after. {RISK_SAID[0].upper()}{RISK_SAID[1:]}.",
        (("dot one", "log gradient norm"), ("box two", "lag-1 correlation")),
        (plot(figure.alarms(found, heard.steps), "changes-plot", "Alarms over time", f"Alarms: {words}."),),
        (Sheet("Alarms", "before step", columns, rows),),
    )
