"""Spot: the coordinates of a tensor that are heard, and what they stand for."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor, nn

from ..core.network import roles
from ..core.place import Runs
from .ground import ground

RUN = 8  # coordinates in a row: half a cache line, one matrix of the product of all lags
FEW = 2  # runs of a small tensor, so that they can be compared
SHARE = 1 / 8192  # of a large one
LEAST = 4096  # coordinates of a model at least, or all of them
NEARLY = 0.5  # a tensor that would be heard to this share is heard whole
NEAR = 4096  # a tensor of so many numbers is copied faster than a view of its runs is made


def spread(n: int, share: float, generator: torch.Generator) -> Runs:
    """Where the runs of n coordinates begin: equally far apart, the first at random, so that sums are unbiased.

    >>> spread(100, 1.0, torch.Generator()), spread(0, 0.5, torch.Generator()).rows
    (Runs(start=0, run=8, stride=8, rows=12), 0)
    """
    rows = max(FEW, math.ceil(n * share / RUN))
    if rows * RUN >= NEARLY * n:
        return Runs(0, RUN, RUN, n // RUN)
    stride = n // rows * 17 // 18 | 1  # odd: runs must not stay in the same columns of a matrix
    room = n - (rows - 1) * stride - RUN
    return Runs(int(torch.randint(room + 1, (), generator=generator)), RUN, stride, rows)


@final
@dataclass(frozen=True, eq=False)
class Spot:
    """One parameter, and which runs of the part of it that lies here are heard.

    share: 1 where this process speaks for
    the part, 0 where another one holds the same numbers.
    """

    name: str
    role: str
    ref: weakref.ref[Tensor]
    shape: tuple[int, ...]
    numel: int  # of the whole parameter
    here: int  # of the part that lies here
    runs: Runs
    strides: tuple[int, ...]
    plain: bool  # neither a shard nor complex
    share: float = 1.0

    @property
    def p(self) -> Tensor | None:
        """The parameter, while somebody else holds it."""
        return self.ref()

    @cached_property
    def size(self) -> tuple[int, int]:
        """Of the runs, as a view of the tensor."""
        return self.runs.rows, RUN

    @cached_property
    def tail(self) -> int:
        """Coordinates after the last run, of a tensor that is heard whole."""
        return self.here - self.runs.rows * RUN if self.runs.stride == RUN else 0

    @property
    def sampled(self) -> int:
        """Coordinates that are heard."""
        return self.runs.rows * RUN + self.tail

    @cached_property
    def rows(self) -> int:
        """Of RUN coordinates, the last of which may be short."""
        return -(-self.sampled // RUN)

    @cached_property
    def near(self) -> bool:
        """Whether it is read by a copy of the whole."""
        return self.here <= NEAR or self.runs.stride == RUN

    @property
    def weight(self) -> float:
        """How many coordinates each one stands for."""
        return self.share * self.here / self.sampled if self.sampled else 0.0

    def laid(self, x: Tensor) -> Tensor:
        """The local numbers of x as the parameter's lie in memory; of a gradient that lies so, no copy."""
        x = real(x)
        if x.stride() == self.strides:
            return x
        return torch.empty_strided(x.shape, self.strides, dtype=x.dtype, device=x.device).copy_(x)

    def flat(self, x: Tensor) -> Tensor:
        """The same in the order in which they lie, [here]."""
        x = self.laid(x)
        return x.as_strided((self.here,), (1,), x.storage_offset())


def real(x: Any) -> Tensor:
    """What of a tensor lies here, as real numbers that are all kept."""
    x = x.detach()
    x = x.to_local() if hasattr(x, "to_local") else x
    x = torch.view_as_real(x) if x.is_complex() else x
    return x.to_dense() if x.is_sparse else x


def spot(name: str, p: Tensor, role: str, share: float, generator: torch.Generator) -> Spot:
    """Choose what is heard of a parameter."""
    here = real(p)
    numel = p.numel() * (2 if p.is_complex() else 1)
    runs = spread(here.numel(), share, generator)
    plain = not (p.is_complex() or hasattr(p, "to_local"))
    return Spot(name, role, weakref.ref(p), tuple(p.shape), numel, here.numel(), runs, strides(here), plain, speaks(p))


def strides(x: Tensor) -> tuple[int, ...]:
    """Those of x where its numbers lie without gaps, else those of a row."""
    wide = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    dense = wide or x.is_contiguous() or (x.ndim == 2 and x.T.is_contiguous())
    return x.stride() if dense else torch.empty(x.shape, device="meta").stride()


def speaks(p: Any) -> float:
    """1 for the first of all processes that hold the same numbers, else 0."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1.0
    if not hasattr(p, "to_local"):
        return float(torch.distributed.get_rank() == 0)
    place = p.device_mesh.get_coordinate()
    return float(all(at == 0 for at, how in zip(place, p.placements, strict=True) if how.is_replicate()))


@ground()
def spots(model: nn.Module) -> list[Spot]:
    """One for each parameter that is trained, always the same coordinates."""
    known = roles(model)
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad and p.numel()]
    if not named:
        raise ValueError("The model has no parameters that require gradients: there is nothing to hear.")
    share = max(SHARE, LEAST / sum(p.numel() for _, p in named))
    chance = torch.Generator().manual_seed(0)

    def role(name: str, p: Tensor) -> str:
        entry: Any = known.get(p, name)
        return entry.role.kind if entry else "other"

    return [spot(name, p, role(name, p), share, chance) for name, p in named]
