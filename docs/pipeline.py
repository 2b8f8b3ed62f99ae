"""Draws docs/pipeline.svg: the five phases of a step, and what each part does in them. Run: python docs/pipeline.py"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

PHASES = (
    ("gather", "p.grad → field\ncast, sign, decay", "combine", "#cfd8dc"),
    ("remember", "filters and metrics\ntake in g", "filter · metric", "#bbdefb"),
    ("measure", "⟨g, D⁻¹uₖ⟩ and power\nof every candidate", "filter · metric", "#ffe0b2"),
    ("decide", "pay = alignment / √power\nwho pays best?", "selector", "#ffcc80"),
    ("apply", "u → d → θ − lr d", "filter · metric\nstep · combine", "#c8e6c9"),
)
WIDTH, HEIGHT, GAP = 2.05, 1.5, 0.42


def draw() -> Figure:
    """The picture, about 12 by 3 inches."""
    figure = Figure(figsize=(12, 3.1))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 12.3), ylim=(0, 3.2))
    axes.axis("off")
    for k, (name, does, parts, color) in enumerate(PHASES):
        left = 0.2 + k * (WIDTH + GAP)
        box(axes, left, color, name, does, parts)
        if k:
            arrow(axes, (left - GAP + 0.06, 1.75), (left - 0.06, 1.75))
    note(axes)
    return figure


def box(axes, left: float, color: str, name: str, does: str, parts: str) -> None:
    """One phase."""
    style = "round,pad=0.02,rounding_size=0.12"
    axes.add_patch(FancyBboxPatch((left, 1.0), WIDTH, HEIGHT, boxstyle=style, facecolor=color, edgecolor="#455a64"))
    middle = left + WIDTH / 2
    text = {"ha": "center", "va": "center", "color": "#102027"}
    axes.text(middle, 2.22, name, fontsize=15, fontweight="bold", **text)
    axes.text(middle, 1.76, does, fontsize=10.5, **text)
    axes.text(middle, 1.24, parts, fontsize=9.5, style="italic", **{**text, "color": "#37474f"})


def arrow(axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    """An arrow from start to end."""
    line = {"arrowstyle": "-|>", "color": "#455a64", "lw": 1.6, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", end, start, arrowprops=line)


def note(axes) -> None:
    """A rule that measures nothing goes straight from remember to apply."""
    second, last = (0.2 + k * (WIDTH + GAP) + WIDTH / 2 for k in (1, 4))
    arrow(axes, (second, 0.95), (last, 0.95), bend=0.12)
    words = "nothing to choose: straight on, in one pass over memory"
    axes.text((second + last) / 2, 0.22, words, ha="center", va="center", fontsize=10.5, color="#37474f")
    axes.text(
        6.15, 2.92, "one chunk of parameters after the other; numbers stay on the device",
        ha="center", va="center", fontsize=10.5, color="#37474f",
    )  # fmt: skip


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".svg"), facecolor="white", metadata={"Date": None})
