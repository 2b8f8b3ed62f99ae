"""Sheet: a table of the page, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from .estimate import Estimate, Reading
from .quantity import Quantity

Cell = Estimate | float | str | None


@final
@dataclass(frozen=True)
class Sheet:
    """A table: rows of a name and cells under columns."""

    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def sheet(caption: str, scopes: Sequence[Reading], columns: Sequence[Quantity]) -> Sheet:
    """Scopes as rows, quantities as columns."""
    rows = tuple((r.name, tuple(q.read(r) for q in columns)) for r in scopes)
    return Sheet(caption, "scope", tuple(q.label for q in columns), rows)
