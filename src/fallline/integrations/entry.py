"""For the transformers Trainer: an entry of its log as a writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Entry:
    """A writer into one entry of the Trainer's log."""

    def __init__(self, entry: dict[str, Any], prefix: str) -> None:
        self.entry, self.prefix = entry, prefix

    def numbers(self, row: Mapping[str, float], step: int) -> None:
        """Beside what is there."""
        self._add(row)

    def words(self, row: Mapping[str, str], step: int) -> None:
        """Beside what is there."""
        self._add(row)

    def _add(self, row: Mapping[str, Any]) -> None:
        self.entry |= {f"{self.prefix}/{name}": value for name, value in row.items()}
