"""Figure: what was heard, drawn. Every line differs from its neighbours in dash or marker, too, not in colour alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from .estimate import Change, Curve, Estimate, Pay, Reading
from .ink import INK, LINE, MUTED, ONE, PAPER, SETTINGS, TWO, WIDTH
from .word import number, pretty

TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
ROW, LETTER = 0.32, 0.093  # inches
LOOKS = ((ONE, "o"), (TWO, "s"))  # of the first and second series of points


@final
@dataclass(frozen=True)
class Row:
    """A line of a chart: its name and one estimate per series, None where there is none."""

    name: str
    values: tuple[Estimate | None, ...]


def panel(height: float, left: float = 0.5) -> tuple[Figure, Axes]:
    """One chart as wide as a phone. left: inches for the labels there; a layout engine takes five times as long."""
    with rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, height))
        box = (left / WIDTH, 0.5 / height, 1 - (left + 0.14) / WIDTH, 1 - 0.6 / height)
        return figure, figure.add_axes(box)


def depth(beta: float) -> float:
    """log10 of the steps that a momentum remembers: the axis on which momenta are told apart.

    >>> depth(0.0), round(depth(0.99), 9)
    (-0.0, 2.0)
    """
    return -math.log10(1 - min(max(beta, 0.0), 0.9999))


def pay(one: Pay, momentum: float | None) -> Figure:
    """Pay over momentum: same batch and clean, where each is highest, and the momentum in use."""
    figure, axes = panel(3.1)
    curves = ((one.same, one.best, ONE, "-", "o"), (one.clean, one.best_clean, TWO, (0, (5, 2)), "D"))
    low, high = window([one.same, one.clean])
    for curve, best, color, dash, marker in curves:
        x = [depth(beta) for beta in curve.x]
        axes.fill_between(x, *clipped(curve, low, high), color=color, alpha=0.16, lw=0)
        axes.plot(x, curve.value, color=color, linestyle=dash, lw=2)
        peak(axes, curve, best, color, marker)
    if momentum is not None:
        axes.axvline(depth(momentum), color=INK, lw=1.2, linestyle=":")
    axes.set_ylim(low, high)
    axes.set_xlim(-0.04, max(map(depth, [*one.same.x, 0.99])) + 0.04)
    axes.xaxis.set_major_locator(FixedLocator([depth(beta) for beta in TICKS]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{1 - 10**-x:.2g}"))
    return finish(figure, axes, "momentum", "y")


def peak(axes: Axes, curve: Curve, best: Estimate, color: str, marker: str) -> None:
    """A mark where the curve is highest, and how far to the sides that may be."""
    finite = [i for i, y in enumerate(curve.value) if math.isfinite(y)]
    if not finite or not math.isfinite(best.value):
        return
    y = max(curve.value[i] for i in finite)
    ends = [depth(x) for x in (best.low, best.high)] if math.isfinite(best.low + best.high) else []
    axes.plot(ends, [y] * len(ends), color=color, lw=1, alpha=0.8, marker="|", markersize=7)
    axes.plot([depth(best.value)], [y], color=color, marker=marker, markersize=8, mec=PAPER, mew=1.2, ls="")


def autocorrelation(reading: Reading) -> Figure:
    """r_k / r_0, and at lag 0 what is left of it without the noise."""
    figure, axes = panel(2.7)
    curve, top = reading.autocorrelation, 1.05
    inner = [y for x in (curve.value, curve.low) for y in x[1:] if math.isfinite(y) and y > -2]
    low = min([-0.1, *inner]) * 1.1
    axes.axhline(0, color=LINE, lw=1)
    axes.fill_between(curve.x, *clipped(curve, low, top), color=ONE, alpha=0.16, lw=0)
    axes.plot(curve.x, curve.value, color=ONE, lw=1.6, marker="o", markersize=4)
    if reading.power.value > 0 and math.isfinite(reading.signal.value):
        part = reading.signal.value / reading.power.value
        axes.plot([0], [part], color=TWO, marker="D", markersize=8, mec=PAPER, mew=1.2, ls="", clip_on=False)
    axes.set_ylim(low, top)
    axes.set_xlim(-0.02 * len(curve), max([*curve.x, 1]))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return finish(figure, axes, "lag in steps", "y")


def bars(rows: Sequence[Row]) -> Figure:
    """What families earn, between -1 and 1, with error bars."""
    figure, axes = listed(rows)
    known = [(i, row.values[0]) for i, row in enumerate(rows)]
    ends = [x for _, e in known if e for x in (e.low, e.value, e.high) if math.isfinite(x)]
    low, high = max(min([0.0, *ends]), -1.0), min(max([0.05, *ends]), 1.0)
    room = 0.05 * (high - low)
    for i, e in known:
        if e is None or not math.isfinite(e.value):
            continue
        axes.barh(i, min(max(e.value, low), high), height=0.56, color=ONE, alpha=0.45, lw=0)
        whisker(axes, e, i, (low - room, high + room), ONE, "o")
    axes.axvline(0, color=MUTED, lw=1)
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return finish(figure, axes, "drop of the loss, 1 is the most", "x")


def points(rows: Sequence[Row], label: str, start: float | None = None) -> Figure:
    """Estimates of scopes on an axis of factors; an arrow where an interval goes on. start: the axis' lowest value."""
    figure, axes = listed(rows)
    found = [e for row in rows for e in row.values if e is not None]
    low, high = factors([x for e in found for x in (e.value, e.low, e.high)], [e.value for e in found], start)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    count = max([len(row.values) for row in rows], default=1)
    for i, row in enumerate(rows):
        for k, e in enumerate(row.values):
            if e is not None and not math.isnan(e.value):
                whisker(axes, e, i + 0.3 * (k - (count - 1) / 2), (low, high), *LOOKS[k])
    few = math.log10(high / low) < 2
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=6))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: pretty(number(float(f"{x:.6g}")))))
    return finish(figure, axes, label, "x")


def whisker(axes: Axes, e: Estimate, y: float, ends: tuple[float, float], color: str, marker: str) -> None:
    """A point and its interval, cut at the ends of the axis."""
    low, high = ends
    a, b = (min(max(x, low), high) if not math.isnan(x) else e.value for x in (e.low, e.high))
    axes.plot([a, b], [y, y], color=color, lw=1.6)
    for x, cut, arrow in ((a, a <= low, "<"), (b, b >= high, ">")):
        axes.plot([x], [y], color=color, marker=arrow if cut else "|", ms=7, ls="", clip_on=False)
    if low < e.value < high:
        axes.plot([e.value], [y], color=color, marker=marker, ms=8, mec=PAPER, mew=1.2, ls="")


def alarms(changes: Sequence[Change], steps: int) -> Figure:
    """When which scope changed."""
    scopes = list(dict.fromkeys(one.scope for one in changes))
    figure, axes = listed([Row(scope, ()) for scope in scopes])
    for one in changes:
        color, marker = LOOKS[one.statistic != "log gradient norm"]
        axes.plot(
            [one.step], [scopes.index(one.scope)], color=color, marker=marker, ms=9, mec=PAPER, mew=1.2, clip_on=False
        )
    axes.set_xlim(0, max(steps, 1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return finish(figure, axes, "step", "both")


# --- what charts share ------------------------------------------------------------------------------------------------


def listed(rows: Sequence[Row]) -> tuple[Figure, Axes]:
    """A chart with a named line for each row, the first on top."""
    names = [short(row.name) for row in rows]
    figure, axes = panel(0.75 + ROW * max(len(rows), 1), 0.24 + LETTER * max(map(len, names), default=1))
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, pad=9, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    return figure, axes


def finish(figure: Figure, axes: Axes, label: str, grid: Literal["both", "x", "y"]) -> Figure:
    """A faint grid, and a name for the lower axis."""
    with rc_context(SETTINGS):
        axes.grid(axis=grid, alpha=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(label)
    return figure


def window(curves: Sequence[Curve]) -> tuple[float, float]:
    """The part of the axis that the curves need, with as much of their bands as twice that shows."""
    values = [y for curve in curves for y in curve.value if math.isfinite(y)]
    low, high = min([0.0, *values]), max([1.0, *values])
    room = high - low
    ends = [y for curve in curves for y in (*curve.low, *curve.high) if math.isfinite(y)]
    return max(low - room / 2, min([low, *ends])) - 0.05 * room, min(high + room / 2, max([high, *ends])) + 0.08 * room


def clipped(curve: Curve, low: float, high: float) -> tuple[list[float], list[float]]:
    """The band, no wider than the axis: bounds may be infinite."""
    return [float(min(max(y, low), high)) for y in curve.low], [float(min(max(y, low), high)) for y in curve.high]


def factors(ends: Sequence[float], values: Sequence[float], start: float | None) -> tuple[float, float]:
    """Limits of an axis of factors: all values, and of intervals what lies within a factor of 30 of them."""
    middle = [x for x in values if math.isfinite(x) and x > 0] or [x for x in ends if math.isfinite(x) and x > 0]
    low, high = (min(middle), max(middle)) if middle else (1.0, 1.0)
    near = [x for x in ends if low / 30 <= x <= high * 30]
    low, high = min([low, *near]) / 1.3, max([high, *near]) * 1.3
    return (low / 1.5 if start is None else start), max(high, 3 * low)


def short(name: str, most: int = 18) -> str:
    """A name of at most so many letters; the end of it says more than the start. A $ would open a formula."""
    return (name if len(name) <= most else "…" + name[1 - most :]).replace("$", r"\$")
