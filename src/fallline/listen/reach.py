"""Reach: how the sampled coordinates of many tensors are read in every step, quickly."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import final

import torch
from torch import Tensor

from .ground import ground
from .kernel import Pick
from .spot import RUN, Spot

CHUNK = 65536  # numbers that are joined at a time, 256 KiB


@final
class Joined:
    """Small tensors: copied as a whole, one after the other, of which one index takes what is heard.

    A view of each would take several times as long as the copy.
    """

    def __init__(self, spots: Sequence[Spot], device: torch.device) -> None:
        self.spots = [(s, s.plain and len(s.shape) == 1) for s in spots]
        dtype = next((p.dtype for s in spots if (p := s.p) is not None and s.plain), torch.float32)
        self.blank = torch.zeros(max(1, *(s.here for s in spots)), dtype=dtype, device=device)
        starts = accumulate((s.here for s in spots), initial=0)
        places = [torch.where((at := where(s)) < 0, -1, at + start) for s, start in zip(spots, starts, strict=False)]
        index = torch.cat(places).to(device)
        total, holes = sum(s.here for s in spots), bool((index < 0).any())
        self.index = torch.where(index < 0, total, index)
        self.last = [self.blank[:1]] if holes else []  # what does not exist is read from this zero

    def read(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        """[rows, RUN]."""
        parts = [
            self.blank[: s.here] if x is None else x if quick and not x.is_sparse else s.flat(x)
            for (s, quick), x in zip(self.spots, tensors, strict=True)
        ]
        return [torch.cat(parts + self.last).index_select(0, self.index).view(-1, RUN)]

    @property
    def bytes(self) -> int:
        """Memory."""
        return self.index.nbytes + self.blank.nbytes


@final
class Viewed:
    """Large tensors: views of their runs."""

    def __init__(self, spots: Sequence[Spot], device: torch.device) -> None:
        self.spots = [(s, s.strides, s.plain, s.size, (s.runs.stride, 1), s.runs.start) for s in spots]
        self.blank = torch.zeros((), device=device)

    def read(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        """[rows, RUN] of each."""
        views = []
        # In a hurry, since this is done for each tensor in each step: no attribute is asked for twice.
        for (s, strides, plain, size, steps, start), x in zip(self.spots, tensors, strict=True):
            if x is None:
                views.append(self.blank.expand(size))
                continue
            if not plain or x.stride() != strides or x.is_sparse:
                x = s.laid(x)
            views.append(x.as_strided(size, steps, x.storage_offset() + start))
        return views

    @property
    def bytes(self) -> int:
        """Memory."""
        return self.blank.nbytes


@final
class Reach:
    """The sampled coordinates of some tensors of one device: where they lie is worked out once.

    order: the tensors, small ones first; owner [R]: those of all rows, in this order; who: which are read.
    """

    @ground()
    def __init__(self, spots: Sequence[Spot], order: Sequence[int], owner: Tensor, who: Collection[int]) -> None:
        mine = [i for i in order if i in who]
        self.spots, self.refs = [spots[i] for i in mine], [spots[i].ref for i in mine]
        starts = dict(zip(order, accumulate((spots[i].rows for i in order), initial=0), strict=False))
        self.pick = Pick(self.spots, [starts[i] for i in mine]) if owner.device.type == "cpu" else None
        self.blank = torch.zeros(0, RUN, device=owner.device)  # float32, which all else becomes
        chosen = torch.isin(owner, torch.tensor(mine, dtype=owner.dtype, device=owner.device))
        self.all, self.rows = len(owner), None if len(mine) == len(spots) else chosen.nonzero()[:, 0]
        self.parts: list[tuple[slice, Joined | Viewed]] = []  # which tensors, and how, once it is asked for

    def gradients(self, to: Tensor | None = None) -> Tensor:
        """[R, RUN]; zeros of the tensors that are not read, and where there is none. to: rows that may be used for it,
        if all tensors are read."""
        return self._read([None if (p := ref()) is None else p.grad for ref in self.refs], to)

    def weights(self) -> Tensor:
        """The same of the parameters themselves."""
        return self._read([ref() for ref in self.refs])

    def _read(self, tensors: list[Tensor | None], to: Tensor | None = None) -> Tensor:
        if self.pick is not None and self.pick.able:
            to = self.blank.new_zeros(self.all, RUN) if to is None else to
            if self.pick(tensors, to):
                return to
        return self._joined(tensors)

    @ground()
    def _ways(self) -> list[tuple[slice, Joined | Viewed]]:
        found: list[tuple[slice, Joined | Viewed]] = []
        at = 0
        for group in groups(self.spots):
            kind = Joined if group[0].near else Viewed
            found.append((slice(at, at + len(group)), kind(group, self.blank.device)))
            at += len(group)
        return found

    @torch.no_grad()
    def _joined(self, tensors: list[Tensor | None]) -> Tensor:
        self.parts = self.parts or self._ways()
        pieces = [one for which, part in self.parts for one in part.read(tensors[which])]
        read = torch.cat(pieces).float() if pieces else self.blank
        return read if self.rows is None else read.new_zeros(self.all, RUN).index_copy_(0, self.rows, read)

    @property
    def bytes(self) -> int:
        """Memory."""
        kept = [part.bytes for _, part in self.parts] + [self.pick.bytes if self.pick else 0]
        return sum(kept) + (0 if self.rows is None else self.rows.nbytes)


def order(spots: Sequence[Spot]) -> list[int]:
    """Small tensors before large ones."""
    return sorted(range(len(spots)), key=lambda i: not spots[i].near)


def groups(spots: Sequence[Spot]) -> list[list[Spot]]:
    """Neighbours that are read together: small ones up to CHUNK numbers, all large ones."""
    found: list[list[Spot]] = []
    room = 0
    for s in spots:
        taken = s.here if s.near else 0
        if not found or found[-1][-1].near != s.near or taken > room:
            found.append([])
            room = CHUNK
        found[-1].append(s)
        room -= taken
    return found


def where(s: Spot) -> Tensor:
    """Of the numbers of a spot's rows, their places in memory; -1 where the last row has no more."""
    runs = s.runs.start + s.runs.stride * torch.arange(s.runs.rows)[:, None] + torch.arange(RUN)
    found = torch.cat([runs.flatten(), torch.arange(s.here - s.tail, s.here)])
    return torch.nn.functional.pad(found, (0, s.rows * RUN - len(found)), value=-1)
