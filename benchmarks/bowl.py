"""docs/transfer.svg: loss over lr at each width, and the best lr over the width."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, geometric_mean

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from fallline.race.style import clean

Losses = Mapping[int, Mapping[float, list[float]]]  # by width and lr, one for each seed
Bests = Mapping[int, list[float]]  # by width, one for each seed
Look = tuple[str, str, str]  # label, colour, marker


def draw(found: Mapping[str, Mapping[str, tuple[Losses, Bests]]], looks: Mapping[str, Look], path: Path) -> Path:
    """A row for each task, given by title; a panel for each optimizer, and one for their best lr."""
    figure = Figure(figsize=(15, 3.6 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(found), len(looks) + 1, squeeze=False)
    for row, (title, of) in zip(rows, found.items(), strict=True):
        for axes, (name, (label, *_)) in zip(row, looks.items(), strict=False):
            bowls(axes, *of[name])
            clean(axes, label, "lr", f"{title}: loss at the end" if axes is row[0] else "")
        low = min(min(map(fmean, lrs.values())) for losses, _ in of.values() for lrs in losses.values())
        high = max(min(map(fmean, lrs.values())) for losses, _ in of.values() for lrs in losses.values())
        for axes in row[:-1]:
            axes.set_ylim(low - 0.1 * (high - low), high + 0.7 * (high - low))
        drifts(row[-1], {name: best for name, (_, best) in of.items()}, looks)
        clean(row[-1], "best lr, relative", "width", "")
    rows[0][-1].legend(frameon=False, fontsize=8)
    with rc_context({"svg.hashsalt": "fallline"}):  # the same numbers give the same file
        figure.savefig(path, metadata={"Date": None})
    return path


def bowls(axes: Axes, losses: Losses, best: Bests) -> None:
    """Mean loss over lr, light for narrow and dark for wide; a line where each width's best lr is."""
    shades = colormaps["viridis_r"]
    for k, (width, lrs) in enumerate(losses.items()):
        color = shades(0.1 + 0.85 * k / max(1, len(losses) - 1))
        points = sorted((lr, fmean(seen)) for lr, seen in lrs.items() if len(seen) == len(best[width]))
        axes.plot(*zip(*points, strict=True), "o-", color=color, ms=4, label=f"width {width}")
        axes.axvline(geometric_mean(best[width]), color=color, ls=":", lw=1.2)
    axes.set_xscale("log")
    tried = sorted({lr for lrs in losses.values() for lr in lrs})
    axes.xaxis.set_major_locator(FixedLocator(tried[::2]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    axes.legend(frameon=False, fontsize=8)


def drifts(axes: Axes, bests: Mapping[str, Bests], looks: Mapping[str, Look]) -> None:
    """The best lr over its own geometric mean, dots for seeds; the band is a factor of two."""
    for name, best in bests.items():
        label, color, marker = looks[name]
        means = {width: geometric_mean(lrs) for width, lrs in best.items()}
        middle = (min(means.values()) * max(means.values())) ** 0.5
        axes.plot(list(means), [x / middle for x in means.values()], color=color, marker=marker, label=label)
        dots = [(width, lr / middle) for width, lrs in best.items() for lr in lrs]
        axes.plot(*zip(*dots, strict=True), ".", color=color, alpha=0.5)
    axes.axhspan(2**-0.5, 2**0.5, color="0.92", zorder=0)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    widths = sorted({width for best in bests.values() for width in best})
    axes.xaxis.set_major_locator(FixedLocator(widths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
