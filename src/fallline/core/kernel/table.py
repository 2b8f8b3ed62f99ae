"""Tables: where a kernel finds its tensors, and in which order it walks over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from ..field import Bundle
from ..place import Runs
from .symbol import Number

FORMS = ("plain", "inverse", "complement")  # of a number, in the order in which they lie side by side
PIECE = 1 << 16  # coordinates that one thread takes at a time

# One row for each piece of work: which tensor, where its coordinates start (in the tensor, in its sample), and how
# many runs of how many coordinates it has, how far apart.
Item = tuple[int, int, int, int, int, int]


def pieces(sizes: Sequence[int], piece: int = PIECE) -> list[Item]:
    """All coordinates of all tensors."""
    return [
        (row, start, start, min(piece, n - start), 0, 1)
        for row, n in enumerate(sizes)
        for start in range(0, max(n, 1), piece)  # an empty shard has its row too
    ]


def stripes(sizes: Sequence[int], stripe: int = 1 << 18) -> list[Item]:
    """All coordinates of all tensors, for a pass that only reads one column: four runs of a tensor side by side.

    One core reads from four places at once half as fast again as from one.
    """
    found: list[Item] = []
    for row, n in enumerate(sizes):
        for start in range(0, max(n, 1), 4 * stripe):
            m = min(4 * stripe, n - start)
            run, rest = (m // 4, m % 4) if m >= PIECE else (0, m)
            found += [(row, start, 0, run, run, 4)] if run else []
            found += [(row, start + m - rest, 0, rest, 0, 1)] if rest or not n else []
    return found


def samples(runs: Sequence[tuple[int, int, int, int]], piece: int | None = None) -> list[Item]:
    """The sampled coordinates: (start, run, stride, rows) of each tensor, all at once or in pieces."""
    items: list[Item] = []
    for row, (start, run, stride, rows) in enumerate(runs):
        most = rows if piece is None else max(piece // run, 1)
        items += [(row, start + k * stride, k * run, run, stride, min(most, rows - k)) for k in range(0, rows, most)]
    return items


def cuts(parts: Sequence[Sequence[tuple[int, int, Runs]]], piece: int | None = None) -> list[Item]:
    """What lies here of samples of sharded tensors: (where in the local part, where in the sample, runs) of each."""
    items: list[Item] = []
    for row, part in enumerate(parts):
        for _, seen, runs in part:
            items += [(row, at, seen + i, run, by, n) for _, at, i, run, by, n in samples([runs], piece)]
        items += [] if part else [(row, 0, 0, 0, 0, 1)]
    return items


@dataclass(frozen=True, eq=False)
class Items:
    """Pieces of work on one device. told: how many coordinates they stand for in each tensor, where that is known."""

    given: list[Item]
    device: torch.device
    told: tuple[float, ...] | None = None

    @cached_property
    def table(self) -> Tensor:
        """[items, 6] int64."""
        return torch.tensor(self.given, dtype=torch.int64, device="cpu").to(self.device)

    @cached_property
    def rows(self) -> Tensor | None:
        """Which tensor each item belongs to; None where every tensor is one item."""
        rows = [item[0] for item in self.given]
        return None if rows == list(range(len(rows))) else torch.tensor(rows, device="cpu").to(self.device)

    @cached_property
    def size(self) -> int:
        """Coordinates in all."""
        return sum(item[3] * item[5] for item in self.given)

    def counts(self, tensors: int) -> Tensor:
        """Coordinates of each tensor, [tensors] float64."""
        if self.told is not None:
            return torch.tensor(self.told, dtype=torch.float64, device="cpu").to(self.device)
        each = torch.zeros(tensors, dtype=torch.float64)
        rows, sizes = [item[0] for item in self.given], [item[3] * item[5] for item in self.given]
        return each.index_add_(0, torch.tensor(rows), torch.tensor(sizes, dtype=each.dtype)).to(self.device)

    def shares(self, n: int) -> list[tuple[int, int]]:
        """n ranges of items with about equally many coordinates."""
        cuts, done = [0], 0
        for i, item in enumerate(self.given):
            done += item[3] * item[5]
            if done * n >= self.size * len(cuts):
                cuts.append(i + 1)
        return list(pairwise(cuts))

    @cached_property
    def starts(self) -> Tensor:
        """Where the items of each tensor begin, and where the last ones end, [tensors + 1]; they lie in a row."""
        rows = [-1, *(item[0] for item in self.given), -1]
        cuts = [i for i, (one, other) in enumerate(pairwise(rows)) if one != other]
        return torch.tensor(cuts, dtype=torch.int64, device="cpu").to(self.device)

    def gather(self, partial: Tensor, tensors: int) -> Tensor:
        """Sums of the items [items, sums] -> sums of the tensors [tensors, sums], if they are not that already."""
        if self.rows is None or len(partial) == tensors:
            return partial
        return partial.new_zeros(tensors, partial.shape[1]).index_add_(0, self.rows, partial)

    def scatter(self, x: Tensor, rows: int) -> Tensor:
        """Numbers of the tensors [1, tensors] -> of the rows of sums, which are the tensors or the items."""
        return x if self.rows is None or rows == x.shape[1] else x[:, self.rows]


def pack(numbers: list[Number], device: torch.device) -> Tensor:
    """x, 1 / x and 1 - x of every number, float64: one row [1, 3 numbers], or one for each tensor."""
    if not numbers:
        return torch.zeros(1, 0, dtype=torch.float64, device=device)
    x = torch.stack(torch.broadcast_tensors(*(_column(x, device) for x in numbers)), -1)
    return torch.stack([x, 1 / x, 1 - x], -1).flatten(1)


def width(packed: Tensor) -> int:
    """How far apart the rows lie; 0 if all tensors share the numbers, so that every row is the first one."""
    return packed.shape[1] if len(packed) > 1 else 0


def _column(x: Number, device: torch.device) -> Tensor:
    """One number for all, or one for each tensor."""
    if isinstance(x, Bundle):
        return torch.stack([each.reshape(()) for each in x]).double()
    return x.double().reshape(1).to(device) if isinstance(x, Tensor) else constant(x, device)


@lru_cache(maxsize=1024)
def constant(x: float, device: torch.device) -> Tensor:
    """A number of the rule on a device; made once, since copying it there would make the host wait."""
    return torch.full((1,), x, dtype=torch.float64, device=device)
