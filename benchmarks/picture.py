"""docs/speed.svg: time of a step over that of torch's fused AdamW, one panel for each list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from benchmarks.contender import ROWS
from benchmarks.ledger import Ledger
from benchmarks.row import Row
from benchmarks.shape import LISTS
from fallline.race.style import clean

# Okabe and Ito's colours, and a marker each: torch, ours, the peers.
LOOKS = {"torch": ("#0072B2", "o"), "ours": ("#D55E00", "D"), "peers": ("#009E73", "s")}
TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50)
OFFSET = {1: -0.14, 2: 0.18}  # one thread above, two below


def side(row: Row) -> str:
    """Whose row it is."""
    return {"torch": "torch", "fallline": "ours"}.get(row.package, "peers")


def rows_of(ledger: Ledger, family: str = "adamw") -> list[Row]:
    """The rows that are drawn and were measured."""
    known = {one["row"] for one in ledger.tables["steps"] if "error" not in one}
    return [row for row in ROWS.values() if row.drawn and row.family == family and row.name in known]


def draw(ledger: Ledger, path: Path) -> Path:
    """Write the picture."""
    rows = rows_of(ledger)
    figure = Figure(figsize=(13, 1.6 + 0.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(LISTS), sharex=True, sharey=True), LISTS, strict=True):
        panel(axes, ledger, rows, name)
    axes = figure.axes[0]
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.invert_yaxis()
    figure.legend(handles=handles(), loc="outside lower center", ncols=5, frameon=False, fontsize=10)
    figure.suptitle("AdamW: time of a step, as a multiple of torch's fused one", x=0.01, ha="left", fontsize=13)
    with rc_context({"svg.hashsalt": "fallline"}):  # the same numbers give the same file
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=150)
    return path


def panel(axes: Axes, ledger: Ledger, rows: list[Row], name: str) -> None:
    """One list: a mark for the median, a bar between the quartiles."""
    for place, row in enumerate(rows):
        for threads, offset in OFFSET.items():
            found = ledger.find("steps", list=name, threads=threads, row=row.name)
            if found and "error" not in found:
                mark(axes, row, place + offset, threads, found["ratio"])
    axes.axvline(1, color="0.35", linewidth=1, zorder=1)
    clean(axes, LISTS[name].title, "times torch's fused", "")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(TICKS)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.grid(axis="both", color="0.9", linewidth=0.8)


def mark(axes: Axes, row: Row, y: float, threads: int, ratio: dict[str, float]) -> None:
    """One row's ratio: filled on one thread, hollow on two."""
    color, shape = LOOKS[side(row)]
    fill = color if threads == 1 else "white"
    axes.plot([ratio["low"], ratio["high"]], [y, y], color=color, lw=2, alpha=0.6, zorder=2, solid_capstyle="butt")
    axes.plot([ratio["median"]], [y], marker=shape, color=color, mfc=fill, ms=5.5, lw=0, zorder=3)


def handles() -> list[Line2D]:
    """The legend."""
    plain: dict[str, Any] = {"lw": 0, "ms": 6}
    whose = [Line2D([], [], label=who, color=color, marker=shape, **plain) for who, (color, shape) in LOOKS.items()]
    count = [
        Line2D([], [], label=text, color="0.35", marker="o", mfc=fill, **plain)
        for text, fill in (("one thread", "0.35"), ("two threads", "white"))
    ]
    return [*whose, *count]
