"""Scope: what the page says of each role, and of each parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from . import quantity
from .chart import Plot, earnings, lags, pays
from .estimate import Heard, Reading
from .sheet import Sheet
from .word import many, number, share


@final
@dataclass(frozen=True)
class Scope:
    """A role on its own: a line, plots, and its numbers."""

    name: str
    line: str
    plots: tuple[Plot, ...]
    sheet: Sheet


def scopes(heard: Heard) -> list[Scope]:
    """A part of the page for each role."""
    return [scope(r, f"role-{i}") for i, r in enumerate(heard.roles.values())]


def scope(r: Reading, mark: str) -> Scope:
    """All of one reading."""
    rows = tuple((q.label, (q.read(r),)) for q in quantity.SUMMARY if q.read(r) is not None)
    plots = (*pays(r, f"{mark}-pay"), *lags(r, mark), *earnings(r, mark))
    return Scope(
        r.name, f"{extent(r)}; {habits(r)}", plots, Sheet(f"{r.name} in numbers", "quantity", ("value",), rows)
    )


def extent(r: Reading) -> str:
    """How much a reading rests on."""
    heard = f"{r.sampled:,} of them heard ({share(r.sampled / max(r.numel, 1))})"
    return f"{many(r.tensors, 'tensor')}, {many(r.numel, 'parameter')}, {heard}"


def habits(r: Reading) -> str:
    """Learning rate and momentum in use."""
    known = [f"{name} {number(x)}" for name, x in (("learning rate", r.lr), ("momentum", r.momentum)) if x is not None]
    return ", ".join(known) or "learning rate and momentum differ within it, or are not known"


SINGLE = (quantity.NOISE_SCALE, quantity.NEXT, quantity.DIAGONAL, quantity.RANK, quantity.UPDATE)


def single(heard: Heard) -> Sheet | None:
    """A table of all parameters."""
    if not heard.parameters:
        return None
    columns = ("role", "size", "heard", *(q.label for q in SINGLE))
    rows = tuple(
        (name, (r.role, f"{r.numel:,}", f"{r.sampled:,}", *(q.read(r) for q in SINGLE)))
        for name, r in heard.parameters.items()
    )
    return Sheet("Every parameter", "parameter", columns, rows)
