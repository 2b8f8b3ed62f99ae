"""The results as a picture: validation over lr on top, loss, momentum and effective lr over time below."""

import math
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator, StrMethodFormatter

from fallline.race.contender import NAMED
from fallline.race.store import Record
from fallline.race.style import Style, clean, named, style_of
from fallline.race.summary import Cell, cells
from fallline.race.verdict import WORDS

Runs = list[Record]


def draw(result: Record, path: Path) -> Path:
    """Write the PNG and return its path."""
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1), squeeze=False)[:, 0]
    schedules, styles = result["plan"]["schedules"], legend_styles(result)
    for axes, schedule in zip(above.subplots(1, len(schedules), squeeze=False)[0], schedules, strict=True):
        sweep(axes, result, schedule, styles)
    for axes, panel in zip(below.subplots(1, 3), (losses, momenta, effective_lrs), strict=True):
        panel(axes, result, schedules[-1], styles)
    handles = [style.handle(label) for label, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(7, len(handles)), frameon=False, fontsize=10)
    figure.suptitle(subtitle(result), x=0.01, ha="left", fontsize=13)
    figure.savefig(path, dpi=150)
    return path


def subtitle(result: Record) -> str:
    """What was raced, in a line."""
    plan, title = result["plan"], result["title"]
    return f"{title[0].upper()}{title[1:]}: {plan['optimizer']}, {plan['steps']} steps, seeds: {plan['seeds']}"


def legend_styles(result: Record) -> dict[str, Style]:
    """How each contender is drawn, fixed momenta from light to dark."""
    found = {row["label"]: row["contender"] for row in result["rows"]}
    if set(found.values()) == {NAMED}:
        return {label: named(k) for k, label in enumerate(found)}
    fixed = [label for label, contender in found.items() if contender == "fixed"]
    blues = colormaps["Blues"]
    shades = {label: blues(0.4 + 0.55 * k / max(1, len(fixed) - 1)) for k, label in enumerate(fixed)}
    return {label: style_of(contender, shades.get(label)) for label, contender in found.items()}


def sweep(axes: Axes, result: Record, schedule: str, styles: dict[str, Style]) -> None:
    """Validation over lr: mean over seeds, the range of the seeds as a band for the self-choosing."""
    found = sorted((c for c in cells(result["runs"]) if c.schedule == schedule), key=lambda c: c.lr)
    low, high = window(found)
    for label, style in styles.items():
        mine = [c for c in found if c.label == label]
        lrs = [c.lr for c in mine]
        axes.plot(lrs, [c.mean if math.isfinite(c.mean) else math.nan for c in mine], **style.line)
        lost = [c.lr for c in mine if not math.isfinite(c.mean)]
        axes.plot(lost, [high - 0.02 * (high - low)] * len(lost), "x", color=style.color, markersize=7)
        if style.strong:
            band = [(min(c.scores), max(c.scores)) if math.isfinite(c.mean) else (math.nan,) * 2 for c in mine]
            axes.fill_between(lrs, [b[0] for b in band], [b[1] for b in band], color=style.color, alpha=0.15, lw=0)
    ticks = sorted({c.lr for c in found})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{lr:g}" for lr in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(low, high)
    clean(axes, f"{WORDS[schedule]}", "lr", result["metric"])


def window(found: list[Cell]) -> tuple[float, float]:
    """The stretch of the axis that shows every contender's best; a diverged one is a cross at the top."""
    tops: dict[str, float] = {}
    for c in found:
        tops[c.label] = min(c.mean, tops.get(c.label, math.inf))
    finite = [x for x in tops.values() if math.isfinite(x)] or [1.0]
    low, high = min(finite), max(finite)
    room = max(high - low, 0.02 * abs(low), 1e-12)
    return low - 0.15 * room, high + 0.6 * room


def at_best(result: Record, schedule: str, label: str) -> Runs:
    """The runs of a contender at its best lr."""
    lr = next((r["lr"] for r in result["rows"] if (r["label"], r["schedule"]) == (label, schedule)), None)
    wanted = (label, schedule, lr)
    return [r for r in result["runs"] if (r["label"], r["setting"]["schedule"], r["setting"]["lr"]) == wanted]


def over_time(axes: Axes, runs: Runs, style: Style, name: str, read: Callable[[float], float] = float) -> None:
    """One quantity over the steps: mean over the seeds that did not diverge, their range as a band."""
    whole = [r["curve"] for r in runs if not r["diverged"]]
    if not whole:
        return
    steps, curves = whole[0]["step"], [[read(x) for x in curve[name]] for curve in whole]
    columns = list(zip(*curves, strict=True))
    line = style.line | {"marker": ""}
    axes.plot(steps, [fmean(c) for c in columns], **line)
    if style.strong:
        axes.fill_between(steps, list(map(min, columns)), list(map(max, columns)), color=style.color, alpha=0.15, lw=0)


def losses(axes: Axes, result: Record, schedule: str, styles: dict[str, Style]) -> None:
    """Training loss at the best lr of each."""
    for label, style in styles.items():
        over_time(axes, at_best(result, schedule, label), style, "loss")
    if axes.dataLim.y1 > 10 * axes.dataLim.y0 > 0:
        axes.set_yscale("log")
    clean(axes, f"Training loss at best lr ({schedule})", "step", "")


def momenta(axes: Axes, result: Record, schedule: str, styles: dict[str, Style]) -> None:
    """The chosen momentum, on an axis where equal steps are equal factors of memory 1 / (1 - beta)."""
    bank: set[float] = set()
    for label, style in styles.items():
        runs = [r for r in at_best(result, schedule, label) if r["candidates"]]
        bank.update(*(r["candidates"] for r in runs))
        over_time(axes, runs, style, "momentum", memory)
    axes.yaxis.set_major_locator(FixedLocator([memory(beta) for beta in sorted(bank)]))
    axes.yaxis.set_major_formatter(FixedFormatter([f"{beta:g}" for beta in sorted(bank)]))
    if bank:
        axes.set_ylim(memory(min(bank)) - 0.1, memory(max(bank)) + 0.1)
    clean(axes, f"Chosen momentum ({schedule})", "step", "")


def memory(beta: float) -> float:
    """log10 of 1 / (1 - beta), the steps a momentum remembers."""
    return -math.log10(1 - beta)


def effective_lrs(axes: Axes, result: Record, schedule: str, styles: dict[str, Style]) -> None:
    """lr times the gain of the filter."""
    for label, style in styles.items():
        over_time(axes, at_best(result, schedule, label), style, "effective_lr")
    if schedule == "constant" and axes.dataLim.y1 > 5 * axes.dataLim.y0 > 0:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    clean(axes, f"Effective lr ({schedule})", "step", "")
