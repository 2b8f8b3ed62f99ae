"""Places: which coordinates of a larger tensor a few, or a part of it, are."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Runs(NamedTuple):
    """Some coordinates of a field: `rows` runs of `run` coordinates, `stride` apart, the first one at `start`."""

    start: int
    run: int
    stride: int
    rows: int


class Place:
    """Where in a larger tensor the numbers of a field lie: what a part of it may say about the whole."""

    @property
    def count(self) -> float:
        """Coordinates that it stands for."""
        raise NotImplementedError

    def mine(self, x: Tensor) -> Tensor:
        """x as it enters sums."""
        return x
