"""A writer for Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class WandB:
    """Rows into a run's history, words into its summary.

    run: what `wandb.init` returned. prefix: what all names begin with. The run's owner finishes it.

        run = wandb.init(project="mine")
        record(optimizer, WandB(run), step=step)
    """

    def __init__(self, run: Any, prefix: str = "fallline") -> None:
        self.run, self.prefix = run, prefix

    def numbers(self, row: Mapping[str, float], step: int) -> None:
        """One entry of the history; what others log at this step stands beside it."""
        self.run.log({f"{self.prefix}/{name}": value for name, value in row.items()}, step=step)

    def words(self, row: Mapping[str, str], step: int) -> None:
        """The summary holds the last words."""
        self.run.summary.update({f"{self.prefix}/{name}": text for name, text in row.items()})
