"""Shards: what of a tensor lies here where other processes hold the rest, and where in the whole it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from operator import mul
from typing import Any

import torch
from torch import Tensor

from .field import Field, Shards, as_field, each, many, shards, tensors_of
from .place import Place, Runs


@dataclass(frozen=True, eq=False)
class Shard(Place):
    """What of a tensor lies here: of every dimension some indices, `axes`; `ranks` processes hold it all.

    >>> one = Shard((4, 3), (torch.tensor([2, 3]), torch.arange(3)), ranks=2)
    >>> one.coordinates().tolist(), one.count, one.span
    ([[6, 7, 8], [9, 10, 11]], 6.0, (6, 12))
    """

    shape: tuple[int, ...]
    axes: tuple[Tensor, ...]
    ranks: int
    gather: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    seen: dict[Runs, Sampled] = field(default_factory=dict, repr=False)

    def whole(self, x: Tensor) -> Tensor:
        """The whole tensor of which x lies here; all that hold parts of it must ask together."""
        assert self.gather is not None
        return self.gather(x)

    def part(self, x: Tensor) -> Tensor:
        """What of a whole tensor lies here."""
        for d, axis in enumerate(self.axes):
            x = x.index_select(d, axis.to(x.device)) if len(axis) != x.shape[d] else x
        return x

    @property
    def size(self) -> int:
        """Coordinates of the whole tensor."""
        return torch.Size(self.shape).numel()

    @property
    def count(self) -> float:
        """An even part of them, so that counts add up over processes as sums do, and their ratios are global."""
        return self.size / self.ranks

    @property
    def strides(self) -> list[int]:
        """How far apart neighbours are in the logical order of the whole tensor."""
        return [*accumulate(reversed(self.shape[1:]), mul, initial=1)][::-1] if self.shape else []

    @property
    def span(self) -> tuple[int, int] | None:
        """From where to where the coordinates lie in a row of the whole tensor; None where they do not."""
        index, wide = self.axes[0], self.strides[0]
        first = int(index[0]) if len(index) else 0
        rows = torch.equal(index, torch.arange(first, first + len(index)))
        whole = all(len(axis) == n for axis, n in zip(self.axes[1:], self.shape[1:], strict=True))
        return (first * wide, (first + len(index)) * wide) if rows and whole else None

    def coordinates(self, device: torch.device | str = "cpu") -> Tensor:
        """The place of every local coordinate in the logical order of the whole tensor, in the local shape."""
        n = len(self.axes)
        rows = (
            (axis.to(device) * stride).view(-1, *[1] * (n - 1 - d))
            for d, (axis, stride) in enumerate(zip(self.axes, self.strides, strict=True))
        )
        return sum(rows, start=torch.zeros((), dtype=torch.int64, device=device))

    def sampled(self, runs: Runs) -> Sampled:
        """What of a sample of the whole tensor lies here."""
        if runs not in self.seen:
            start, run, stride, rows = runs
            wanted = start + torch.arange(rows)[:, None] * stride + torch.arange(run)
            inside, place = torch.ones_like(wanted, dtype=torch.bool), torch.zeros_like(wanted)
            for n, axis, step in zip(self.shape, self.axes, self.strides, strict=True):
                where = torch.full((n,), -1).index_copy_(0, axis, torch.arange(len(axis)))[wanted // step % n]
                inside &= where >= 0
                place = place * len(axis) + where
            self.seen[runs] = Sampled(inside, torch.where(inside, place, 0), self.ranks)
        return self.seen[runs]


@dataclass(frozen=True, eq=False)
class Sampled(Place):
    """What of a sample lies here. A field has the whole sample's shape, so that it can be saved; foreign coordinates
    hold anything, and count for nothing.

    inside [rows, run]: whether a coordinate lies here; places: where in the local part, 0 if it does not.
    """

    inside: Tensor
    places: Tensor
    ranks: int

    @property
    def count(self) -> float:
        """An even part of the whole sample."""
        return self.inside.numel() / self.ranks

    def mine(self, x: Tensor) -> Tensor:
        """x, with zeros in place of foreign coordinates."""
        return torch.where(self.inside.to(x.device), x, 0.0)

    def pick(self, x: Tensor) -> Tensor:
        """The sampled coordinates of a local part."""
        if not x.numel():
            return x.new_zeros(self.inside.shape)
        return self.mine(x.reshape(-1)[self.places.to(x.device)])


def coordinates(x: Field) -> Field:
    """The place of every number of x in its tensor, in logical order; of a shard, in the whole tensor."""
    if isinstance(x, Shards):
        return as_field([place.coordinates(part.device) for place, part in zip(x.places, x, strict=True)])
    return each(lambda one: torch.arange(one.numel(), dtype=torch.int32, device=one.device).view(one.shape), x)


def whole(x: Field) -> Field:
    """The whole tensors of which parts lie here, the same on all processes; anything else as it is."""
    if not isinstance(x, Shards):
        return x
    return as_field([place.whole(part) for place, part in zip(x.places, x, strict=True)])


def parts(y: Field | float, like: Field) -> Any:
    """y as `like` lies: what of whole tensors lies here where those of `like` are dealt out, else whole tensors."""
    if not many(y):
        return y
    if not isinstance(like, Shards):
        return whole(y)
    if isinstance(y, Shards):
        return y
    pieces = [place.part(one) for place, one in zip(like.places, tensors_of(y), strict=True)]
    return shards(pieces, like.places)


def held(n: int, cuts: Iterable[tuple[int, int, int]]) -> Tensor:
    """Which of n indices a process holds after cuts (turns, parts, mine) have been made one after the other.

    A cut deals out ceil(n / parts) indices to each process in order. With several turns (FSDP over tensor parallelism)
    that many slices are dealt out one by one.

    >>> held(7, [(1, 4, 1)]).tolist(), held(7, [(1, 4, 3)]).tolist(), held(8, [(2, 2, 1), (1, 2, 0)]).tolist()
    ([2, 3], [6], [2, 3])
    """
    index = torch.arange(n)
    for turns, parts, mine in cuts:
        index = torch.cat([_part(piece, parts, mine) for piece in _parts(index, turns)])
    return index


def _parts(index: Tensor, parts: int) -> list[Tensor]:
    return [_part(index, parts, i) for i in range(parts)]


def _part(index: Tensor, parts: int, i: int) -> Tensor:
    size = -(-len(index) // parts)
    return index[i * size : (i + 1) * size]


def cut(runs: Runs, span: tuple[int, int]) -> list[tuple[int, int, Runs]]:
    """What of a sample lies in [first, last): (its place in the span, in the sample, runs), at most three.

    >>> cut(Runs(start=10, run=4, stride=20, rows=5), (12, 75))
    [(0, 2, Runs(start=0, run=2, stride=20, rows=1)), (18, 4, Runs(start=18, run=4, stride=20, rows=3))]
    """
    start, run, stride, _ = runs
    first, last = span
    ends = [(max(start + i * stride, first), min(start + i * stride + run, last), i) for i in _touched(runs, span)]
    found: list[tuple[int, int, Runs]] = []
    for a, b, i in ends:
        at, seen = a - first, i * run + a - start - i * stride
        if found and b - a == run == found[-1][2].run:
            found[-1] = (*found[-1][:2], found[-1][2]._replace(rows=found[-1][2].rows + 1))
        else:
            found.append((at, seen, Runs(at, b - a, stride, 1)))
    return found


def _touched(runs: Runs, span: tuple[int, int]) -> range:
    """The runs that reach into a span."""
    start, run, stride, rows = runs
    first, last = span
    if last <= first or not stride:
        return range(0)
    return range(max(-(-(first - start - run + 1) // stride), 0), min(-(-(last - start) // stride), rows))
