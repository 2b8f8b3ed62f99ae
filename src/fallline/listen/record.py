"""Record: all that was summed, as plain tensors on the CPU; those of several processes make one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from .column import Columns
from .ground import ground

if TYPE_CHECKING:
    from .ear import Ear


@final
@dataclass(frozen=True)
class Record:
    """Sums of T parameters over B stretches of steps, of R runs of coordinates over all steps, and looks at matrices.

    sums [B, T, C], counts [B, C], runs [R, C], owner [R], share [T]: how much of a parameter is heard. looks: for each
    the parameter and its numbers [WIDTH]. recent: |g|^2 and <g_n, g_{n-1}> of all and of each role, [scopes, 2], for
    each block and the step that it ended with. habits: lr and momentum in use, by parameter; metrics: the metric.
    """

    names: tuple[str, ...]
    roles: tuple[str, ...]
    numel: tuple[int, ...]
    sampled: tuple[int, ...]
    sums: Tensor
    counts: Tensor
    runs: Tensor
    owner: Tensor
    share: Tensor
    looks: tuple[tuple[int, Tensor], ...]
    recent: tuple[tuple[int, Tensor], ...]
    habits: tuple[tuple[float | None, float | None], ...]
    metrics: tuple[str | None, ...]
    steps: int
    window: int
    every: int
    bytes: int

    @property
    def columns(self) -> Columns:
        """Where in C which numbers stand."""
        return Columns(self.window)

    @property
    def scopes(self) -> list[str]:
        """ "total", and the roles that there are."""
        return ["total", *sorted(set(self.roles))]


@ground()
def taken(ear: Ear) -> Record:
    """What an ear of this process has heard."""
    spots = ear.desk.spots
    sums, counts, runs, owner = ear.desk.sums()
    keep = torch.tensor([s.share > 0 for s in spots])[owner]
    share = [s.share * s.sampled / max(s.here, 1) for s in spots]
    return Record(
        names=tuple(s.name for s in spots),
        roles=tuple(s.role for s in spots),
        numel=tuple(s.numel for s in spots),
        sampled=tuple(s.sampled * int(s.share) for s in spots),
        sums=sums,
        counts=counts,
        runs=runs[keep],
        owner=owner[keep],
        share=torch.tensor(share, dtype=torch.float64),
        looks=tuple((i, x.cpu()) for i, x in ear.turns.seen),
        recent=tuple((n, torch.stack([x.cpu() for x in xs]).sum(0)) for n, xs in ear.recent),
        habits=ear.habits.pairs(len(spots)),
        metrics=tuple(map(ear.habits.metrics.get, range(len(spots)))),
        steps=ear.time,
        window=ear.window,
        every=ear.every,
        bytes=ear.bytes,
    )


def merged(parts: list[Record]) -> Record:
    """One record of what several processes heard of the same parameters: sums add up, runs stand side by side.

    Each process has counted only the parts that it speaks for.
    """
    first = parts[0]
    sampled = tuple(map(sum, zip(*(one.sampled for one in parts), strict=True)))
    ends = min(len(one.recent) for one in parts)
    recent = [torch.stack([one.recent[i][1] for one in parts]).sum(0) for i in range(ends)]
    b = min(len(one.sums) for one in parts)
    return replace(
        first,
        sampled=sampled,
        sums=torch.stack([one.sums[:b] for one in parts]).sum(0),
        counts=torch.stack([one.counts[:b] for one in parts]).amax(0),
        runs=torch.cat([one.runs for one in parts]),
        owner=torch.cat([one.owner for one in parts]),
        share=torch.tensor([s / max(n, 1) for s, n in zip(sampled, first.numel, strict=True)], dtype=torch.float64),
        looks=tuple(one for part in parts for one in part.looks),
        recent=tuple((first.recent[i][0], x) for i, x in enumerate(recent)),
    )


def gathered(record: Record) -> Record:
    """The record of all processes together; all must ask."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return record
    parts: list[Record | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, record)
    return merged([one for one in parts if one is not None])
