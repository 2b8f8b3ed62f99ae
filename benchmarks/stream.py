"""Streams of gradients whose statistics are known, and ears that hear many of them at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

import fallline
from fallline.listen import Record, spot, turn

LR, TRIED, WEIGHTS = 0.1, 0.9, 3e4  # of the optimizer: updates are far too small to change the weights' norm
AT_ONCE = 25  # runs that one ear hears: as many matrices of one model
WARM = 64  # steps of a drifting or slow stream before the first that is heard


@dataclass(frozen=True)
class Stream:
    """Gradients g_n = level_n scale (sqrt(a) e_n + sqrt(b) s_n), s_n AR(1) with rho, one matrix.

    size: of the matrix. spread: of the logarithm of the scales of coordinates. ranks: if not 0, all numbers follow
    this many independent ones, as real gradients do. tail: degrees of freedom of Student's e_n, 0 for normal. fall:
    the norm falls to this share over the run, exponentially; `a` falls with its square root more if `turns`. parts:
    micro-batches, in whose mean the noise is e_n.
    """

    name: str
    a: float
    b: float
    rho: float
    size: tuple[int, int] = (32, 16)
    spread: float = 0.0
    ranks: int = 0
    tail: int = 0
    fall: float = 1.0
    parts: int = 0

    @cached_property
    def scales(self) -> Tensor:
        """Of coordinates, of mean square 1; always the same."""
        x = (self.spread * torch.randn(self.size, generator=torch.Generator().manual_seed(1))).exp()
        return x / x.square().mean().sqrt()

    @property
    def numel(self) -> int:
        """Coordinates."""
        return self.size[0] * self.size[1]

    def levels(self, steps: int) -> Tensor:
        """Of the norm, of mean square 1 over the run: [steps]."""
        x = self.fall ** (torch.arange(steps) / steps)
        return x / x.square().mean().sqrt()

    def gradients(self, seed: int, steps: int) -> Iterator[list[Tensor]]:
        """The stream, each step as its micro-batches, or as one."""
        g = torch.Generator().manual_seed(seed)
        keep, state = math.sqrt(1 - self.rho**2), self._normal(g)
        m = max(self.parts, 1)
        for level in self.levels(steps).tolist():
            noises = [math.sqrt(self.a * m) * self._noise(g) for _ in range(m)]
            yield [self.scales * level * (noise + math.sqrt(self.b) * state) / m for noise in noises]
            state = self.rho * state + keep * self._normal(g)

    def _noise(self, g: torch.Generator) -> Tensor:
        x = self._normal(g)
        if self.tail:
            chi = sum(self._normal(g).square() for _ in range(self.tail))
            x = x * (torch.as_tensor(self.tail - 2) / chi).sqrt()
        return x

    def _normal(self, g: torch.Generator) -> Tensor:
        if not self.ranks:
            return torch.randn(self.size, generator=g)
        few = torch.randn(self.ranks, generator=g).repeat_interleave(-(-self.numel // self.ranks))
        return few[: self.numel].view(self.size)


def records(stream: Stream, seeds: Sequence[int], steps: int, window: int) -> list[Record]:
    """What an ear would hear of each run alone; AT_ONCE of them are matrices of one model."""
    return packed(seeds, lambda some: _together(stream, some, steps, window))


def packed(seeds: Sequence[int], hear: Callable[[Sequence[int]], list[Record]]) -> list[Record]:
    """What is heard of AT_ONCE seeds at a time."""
    return [one for at in range(0, len(seeds), AT_ONCE) for one in hear(seeds[at : at + AT_ONCE])]


def _together(stream: Stream, seeds: Sequence[int], steps: int, window: int) -> list[Record]:
    rows, columns = stream.size
    net = nn.ModuleList(nn.Linear(columns, rows, bias=False) for _ in seeds)
    for seed, p in zip(seeds, net.parameters(), strict=True):
        nn.init.normal_(p, generator=torch.Generator().manual_seed(seed))
        p.data *= WEIGHTS / p.data.square().mean().sqrt()
    opt = torch.optim.SGD(net.parameters(), lr=LR, momentum=TRIED)
    with each(len(seeds)), fallline.listen(net, window=window) as ear:
        for gs in zip(*(stream.gradients(seed, steps) for seed in seeds), strict=True):
            for part in zip(*gs, strict=True):
                for p, g in zip(net.parameters(), part, strict=True):
                    p.grad = p.grad + g if stream.parts and p.grad is not None else g
                if stream.parts:
                    ear.microbatch()
            opt.step()
            opt.zero_grad()
        record = ear.record()
    return [alone(record, [i]) for i in range(len(seeds))]


@contextmanager
def each(runs: int) -> Iterator[None]:
    """Matrices of one model are heard and looked at as much as if each were the only one."""
    kept = spot.LEAST, turn.AT_ONCE, turn.SHARE
    spot.LEAST, turn.AT_ONCE, turn.SHARE = kept[0] * runs, runs, 1.0
    try:
        yield
    finally:
        spot.LEAST, turn.AT_ONCE, turn.SHARE = kept


def alone(record: Record, of: Sequence[int]) -> Record:
    """The record of a model that has these parameters only."""
    mine, number = torch.isin(record.owner, torch.tensor(of)), {i: k for k, i in enumerate(of)}
    kept = ("names", "roles", "numel", "sampled", "habits", "metrics")
    return replace(
        record,
        **{name: tuple(getattr(record, name)[i] for i in of) for name in kept},
        sums=record.sums[:, list(of)],
        runs=record.runs[mine],
        owner=torch.tensor([number[i] for i in record.owner[mine].tolist()]),
        share=record.share[list(of)],
        looks=tuple((number[j], x) for j, x in record.looks if j in number),
        recent=(),
    )
