"""How contenders look: blues for fixed momenta, warm or black for those that choose; told apart without colour, too."""

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

Color = tuple[float, float, float, float] | str

# Okabe and Ito's palette: distinct for the common kinds of colour blindness.
LOOKS: dict[str, tuple[str, str, str]] = {
    "auto": ("#D55E00", "-", "D"),
    "paper": ("#000000", "--", "s"),
    "unit-power": ("#CC79A7", "-", "^"),
    "unit-gain": ("#E69F00", ":", "v"),
    "replay": ("#009E73", "-.", "P"),
    "lr-only": ("#7F7F7F", "--", "X"),
}


@dataclass(frozen=True)
class Style:
    """Colour, dash and marker of a contender; `strong` ones are drawn thick and with a band."""

    color: Color
    dash: str
    marker: str
    strong: bool

    @property
    def line(self) -> dict[str, Any]:
        """matplotlib's words for it."""
        # Those that choose often lie on the momentum they chose: they are drawn over it, and thinner where dashed.
        width = {"-": 2.4}.get(self.dash, 1.8)
        # Fixed ones show as rings around them.
        own: dict[str, Any] = {"ms": 5, "zorder": 3} if self.strong else {"ms": 9, "zorder": 2, "mfc": "white"}
        return {"color": self.color, "linestyle": self.dash, "marker": self.marker, "lw": width, **own}

    def handle(self, label: str) -> Line2D:
        """The legend's entry."""
        return Line2D([], [], label=label, **self.line)


# Named optimizers in the order of the race, again and again.
ROUND = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = "oDs^vPX*"


def named(number: int) -> Style:
    """The style of the named optimizer of this number."""
    return Style(ROUND[number % len(ROUND)], "-", MARKS[number % len(MARKS)], strong=True)


def style_of(contender: str, shade: Color | None) -> Style:
    """The style of a contender; fixed ones come with their shade of blue."""
    if contender == "fixed":
        return Style(shade or "#0072B2", "-", "o", strong=False)
    color, dash, marker = LOOKS[contender]
    return Style(color, dash, marker, strong=contender in ("auto", "paper"))


def clean(axes: Axes, title: str, x: str, y: str) -> None:
    """Titles to the left, two spines, a faint grid."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
