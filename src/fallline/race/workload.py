"""What a race runs on: a workload builds, for one seed, a task that hands out losses."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn


class Task(Protocol):
    """One training problem with its weights, data order and validation, all fixed by a seed."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """The weights to train."""

    def loss(self) -> Tensor:
        """The training loss on the next batch, a scalar with a graph."""

    def validate(self) -> float:
        """The number the race compares; lower is better."""


@dataclass(frozen=True)
class Grid:
    """The default sweep of a workload for one optimizer family: learning rates and decay."""

    lrs: tuple[float, ...]
    quick_lrs: tuple[float, ...]
    weight_decay: float = 0.0


class Workload(Protocol):
    """A named problem; two tasks of the same seed start from the same weights and see the same batches."""

    @property
    def name(self) -> str:
        """The word typed after `fallline race`."""

    @property
    def title(self) -> str:
        """What it is, in half a sentence."""

    @property
    def metric(self) -> str:
        """What `Task.validate` returns, in words."""

    @property
    def steps(self) -> int:
        """Steps of a full run."""

    @property
    def quick_steps(self) -> int:
        """Steps of a run under `--quick`."""

    @property
    def grids(self) -> dict[str, Grid]:
        """Sweep per optimizer family; the first key is the default family."""

    def fingerprint(self, data: Path | None) -> str:
        """A short text that changes when the data or the model's definition do."""

    def task(self, seed: int, data: Path | None) -> Task:
        """The training problem of one seed."""
