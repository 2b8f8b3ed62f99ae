"""Tally: additive numbers, summed over stretches of steps, so that stretches can be compared."""

from __future__ import annotations

import torch
from torch import Tensor

STRETCHES = 16  # kept at most; then neighbours are joined


class Tally:
    """Sums of C numbers for each of T tensors over stretches of steps, and over all steps for each run.

        sums [stretches, T, C],    counts [stretches, C],    runs [R, C]

    When all stretches are full, pairs of them are joined and new ones are twice as long: of 8 to 16 full stretches the
    error bars are made, however long the training. Memory: 4 C (16 T + R) bytes.
    """

    def __init__(self, tensors: int, owner: Tensor, columns: int) -> None:
        self.owner = owner
        self.sums = torch.zeros(STRETCHES, tensors, columns, device=owner.device)
        self.counts = torch.zeros(STRETCHES, columns, device=owner.device)
        self.runs = torch.zeros(len(owner), columns, device=owner.device)
        self.full, self.size, self.held = 0, 1, 0  # full stretches, entries of a full one, entries of the open one

    def add(self, values: Tensor, counts: Tensor) -> None:
        """Values of all runs [R, C], and how many steps each column sums."""
        mine, told = self.open()
        mine.index_add_(0, self.owner, values)
        told.add_(counts)
        self.runs.add_(values)
        self.shut()

    def open(self) -> tuple[Tensor, Tensor]:
        """Sums and counts of the open stretch, to be added to."""
        if self.full == STRETCHES:
            self._join()
        return self.sums[self.full], self.counts[self.full]

    def shut(self) -> None:
        """Something was added."""
        self.held += 1
        if self.held == self.size:
            self.full, self.held = self.full + 1, 0

    def stretches(self) -> tuple[Tensor, Tensor]:
        """Sums and counts of the full stretches; an open one that is less than half full joins the last."""
        n = self.full
        sums, counts = self.sums[: n + bool(self.held)].double(), self.counts[: n + bool(self.held)].double()
        if 0 < 2 * self.held < self.size and n:
            sums[n - 1] += sums[n]
            counts[n - 1] += counts[n]
            return sums[:n], counts[:n]
        return sums, counts

    def _join(self) -> None:
        half = STRETCHES // 2
        for x in (self.sums, self.counts):
            x[:half] = x.unflatten(0, (half, 2)).sum(1)
            x[half:] = 0
        self.full, self.size = half, 2 * self.size

    @property
    def bytes(self) -> int:
        """Memory."""
        return sum(x.nbytes for x in (self.sums, self.counts, self.runs))
