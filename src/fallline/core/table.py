"""Table: rows of words in columns, as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def aligned(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A header, and one line for each row.

    >>> print(aligned(("who", "what"), [("weight", "hidden"), ("b", "bias")]))
    who     what
    weight  hidden
    b       bias
    """
    lines = [tuple(map(str, row)) for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    words = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(word.ljust(width) for word, width in line).rstrip() for line in words)
