"""Chart: a figure as it stands on the page, with the same in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from matplotlib.figure import Figure

from . import figure
from .estimate import Curve, Pay, Reading
from .figure import Row
from .ink import inked
from .quantity import FAMILIES, METRICS, Quantity
from .word import more, number, said, share

TOLD = (0.0, 0.5, 0.9, 0.99)  # momenta at which the words of a plot say the heights of its curves


@final
@dataclass(frozen=True)
class Plot:
    """A drawing, its title, what it shows in words and numbers, and what of that is written below it."""

    title: str
    svg: str
    words: str
    caption: str = ""


def plot(drawn: Figure, mark: str, title: str, words: str, caption: str = "") -> Plot:
    """A figure as it stands on the page."""
    return Plot(title, inked(drawn, mark), words, caption)


def in_use(r: Reading) -> str:
    """The momentum in use, in a sentence."""
    return "No single momentum is in use." if r.momentum is None else f"The momentum in use is {number(r.momentum)}."


def pays(r: Reading, mark: str) -> Iterator[Plot]:
    """A plot of pay for each metric."""
    for name, one in r.pay.items():
        if len(one.same):
            title = METRICS.get(name, name)
            best = f"Highest at {number(one.best.value)}, without the noise at {number(one.best_clean.value)}."
            yield plot(figure.pay(one, r.momentum), f"{mark}-{name}", title, paid(r, title, one), best)


def paid(r: Reading, title: str, one: Pay) -> str:
    """A plot of pay, in words."""
    same, clean = said(one.best) + more(one.margin), said(one.best_clean) + more(one.margin_clean)
    level = share(one.same.level)
    return (
        f"Pay over momentum in the {title} metric, with {level} intervals. On the same batch it is highest at {same}. "
        f"Without the noise it is highest at {clean}. {in_use(r)} {heights(one)}"
    )


def heights(one: Pay) -> str:
    """Both curves of a plot of pay at a few momenta, in a sentence."""
    at = (f"{near(one.same, beta)} and {near(one.clean, beta)} at {beta:g}" for beta in TOLD)
    return f"On the same batch and without the noise pay is {'; '.join(at)}."


def near(curve: Curve, x: float) -> str:
    """A curve's height at the point nearest to x."""
    return number(min(zip(curve.x, curve.value, strict=True), key=lambda point: abs(point[0] - x))[1])


def lags(r: Reading, mark: str) -> Iterator[Plot]:
    """The plot of an autocorrelation."""
    curve = r.autocorrelation
    if len(curve) > 1:
        at = sorted({1, min(8, len(curve) - 1), len(curve) - 1})
        clean = number(r.signal.value / r.power.value if r.power.value > 0 else None)
        later = ", ".join(f"{said(curve[k])} at lag {curve.x[k]:g}" for k in at)
        words = f"Autocorrelation of gradients: 1 at lag 0, without the noise {clean}; {later}. "
        words += f"Persistence of the signal: {said(r.persistence)}."
        yield plot(figure.autocorrelation(r), f"{mark}-lags", "Autocorrelation", words, words)


def scale(scopes: Sequence[Reading], what: Quantity, mark: str, title: str) -> Plot:
    """One quantity of all scopes."""
    rows = [Row(r.name, (what.read(r),)) for r in scopes]
    words = f"{title}, by scope: " + "; ".join(f"{row.name} {said(row.values[0])}" for row in rows) + "."
    return plot(figure.points(rows, what.formula), mark, title, words)


def earnings(r: Reading, mark: str) -> Iterator[Plot]:
    """Bars of elementwise and of matrix families."""
    for title, of in (("Elementwise families", r.families), ("Matrix families", r.matrix_families)):
        rows = [Row(FAMILIES.get(name, name), (one,)) for name, one in of.items()]
        if rows:
            words = "; ".join(f"{row.name} {said(row.values[0])}" for row in rows)
            yield plot(figure.bars(rows), f"{mark}-{title.split()[0].lower()}", title, f"{title}: {words}.")
