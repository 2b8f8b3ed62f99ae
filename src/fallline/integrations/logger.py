"""For Lightning: all loggers of a Trainer as one writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Loggers:
    """A writer to all loggers of a Trainer; they take numbers alone."""

    def __init__(self, trainer: Any, prefix: str) -> None:
        self.trainer, self.prefix = trainer, prefix

    def numbers(self, row: Mapping[str, float], step: int) -> None:
        """One entry for each logger."""
        for logger in self.trainer.loggers:
            logger.log_metrics({f"{self.prefix}/{name}": value for name, value in row.items()}, step=step)

    def words(self, row: Mapping[str, str], step: int) -> None:
        """Not for them."""
