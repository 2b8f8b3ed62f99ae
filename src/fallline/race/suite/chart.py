"""Two pictures: performance profiles of all problems and both halves, and what a wrong lr costs."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from fallline.race.store import Record
from fallline.race.style import MARKS, ROUND, clean
from fallline.race.suite.page import HALVES, order
from fallline.race.suite.result import TAUS
from fallline.race.suite.score import LIMIT
from fallline.race.suite.shift import FACTORS

UNTUNED = ("-default", "auto", "-cosine", "-averaged")
COLORS = (*(color for color in ROUND if color != "#000000"), "#7F7F7F")  # black is ours; grey makes one more


def look(told: Record, entrant: str) -> dict[str, Any]:
    """Colour and dash: an optimizer has one colour, its tuned sweep a dashed line; ours is black."""
    kinds = list(dict.fromkeys(family(name) for name in told["entrants"]))
    number = kinds.index(family(entrant))
    color = "black" if family(entrant) == "auto" else COLORS[number % len(COLORS)]
    tuned = not entrant.endswith(UNTUNED)
    dash = "--" if tuned else "-." if entrant.endswith(("-cosine", "-averaged")) else "-"
    return {
        "color": color,
        "ls": dash,
        "lw": 2.6 if family(entrant) == "auto" else 1.8,
        "marker": MARKS[number % len(MARKS)],
    }


def family(entrant: str) -> str:
    """The optimizer, tuned or not."""
    return next((entrant.removesuffix(end) for end in UNTUNED if end[0] == "-" and entrant.endswith(end)), entrant)


def profiles(told: Record, path: Path) -> Path:
    """The share of problems solved within tau times the fewest steps, a panel for all problems and each half."""
    halves = [half for half in HALVES if told["profiles"].get(half)]
    figure = Figure(figsize=(4.6 * len(halves), 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, half in zip(figure.subplots(1, len(halves), squeeze=False, sharey=True)[0], halves, strict=True):
        panel(axes, told, half)
    return finish(figure, told, path, "Within how many times the fewest steps is tuned AdamW's final loss reached?")


def panel(axes: Axes, told: Record, half: str) -> None:
    """One half."""
    curves = told["profiles"][half]
    for k, entrant in enumerate(name for name in order(told) if name in curves):
        axes.plot(TAUS, curves[entrant], drawstyle="steps-post", markevery=(3 * k, 50), ms=5, **look(told, entrant))
    axes.set_xlim(1, LIMIT)
    axes.set_ylim(-0.02, 1.02)
    count = sum(half in ("all", p["half"]) for p in told["problems"])
    clean(axes, f"{HALVES[half]}: {count} problems", "times the fewest steps of all", "")
    if half == "all":
        axes.set_ylabel("share of problems")


def shift(told: Record, path: Path) -> Path:
    """Final loss over tuned AdamW's against the factor of the lr."""
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for entrant in dict.fromkeys(row["entrant"] for row in told["shift"]):
        losses = {row["factor"]: row["loss"] for row in told["shift"] if row["entrant"] == entrant}
        axes.plot(FACTORS, [losses[factor] for factor in FACTORS], label=entrant, **look(told, entrant), ms=6)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(FACTORS))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{factor:g}" for factor in FACTORS]))
    for axis, ticks in ((axes.yaxis, (1, 1.25, 1.5, 2, 3, 4)),):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    clean(axes, "", "factor of the tuned or default lr", "")
    return finish(
        figure, told, path, "What a wrong lr costs: final loss over tuned AdamW's, mean over problems, 4 at most", axes
    )


def finish(figure: Figure, told: Record, path: Path, title: str, axes: Axes | None = None) -> Path:
    """Title, legend, file."""
    handles, labels = (axes or figure.axes[0]).get_legend_handles_labels()
    names = labels if axes else order(told)
    lines = handles if axes else figure.axes[0].get_lines()
    figure.legend(lines, names, loc="outside lower center", ncols=min(5, len(names)), frameon=False, fontsize=10)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13)
    figure.savefig(path, dpi=130)
    return path
