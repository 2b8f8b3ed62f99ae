"""Alarms: how often they are false, and how soon real changes are heard."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.stream import Stream, records
from benchmarks.truth import noisy
from fallline.listen import Change, Record
from fallline.listen.alarm import changes

STEPS, WINDOW, AT, BLOCK = 2000, 64, 1000, 8


@dataclass(frozen=True)
class Scene:
    """A stream of `numbers` independent coordinates, its norm over the run, and its rho after the change."""

    name: str
    a: float
    b: float
    rho: float
    numbers: int = 512
    level: Callable[[float], float] = lambda share: 1.0
    after: float | None = None

    def recent(self, runs: int, seed: int) -> Tensor:
        """|g|^2 and <g_n, g_{n-1}> over blocks of steps, as the ear sums them: [runs, blocks, 2]."""
        g = torch.Generator().manual_seed(seed)
        s, last = torch.randn(runs, self.numbers, generator=g), torch.zeros(runs, self.numbers)
        told = []
        for n in range(STEPS):
            noise = torch.randn(runs, self.numbers, generator=g)
            x = self.level(n / STEPS) * (math.sqrt(self.a) * noise + math.sqrt(self.b) * s)
            told.append(torch.stack([x.square().sum(1), (x * last).sum(1)], 1))
            last, rho = x, self.rho if n < AT or self.after is None else self.after
            s = rho * s + math.sqrt(1 - rho * rho) * torch.randn(runs, self.numbers, generator=g)
        return torch.stack(told, 1).unflatten(1, (-1, BLOCK)).sum(2).double()

    def record(self, recent: Tensor) -> Record:
        """One run, with the autocorrelation that it has on average."""
        base = records(Stream("white", 1, 0, 0.0, size=(2, 8)), [0], 64, WINDOW)[0]
        r = noisy(self.a, self.b, self.rho, WINDOW + 1)
        r = r if self.after is None else (r + noisy(self.a, self.b, self.after, WINDOW + 1)) / 2
        sums, counts = torch.zeros_like(base.sums[:1]), torch.ones_like(base.counts[:1])
        sums[0, 0, base.columns["euclid"]] = r
        steps = range(BLOCK, STEPS + 1, BLOCK)
        scenes = tuple((n, torch.stack([x, x])) for n, x in zip(steps, recent, strict=True))
        return replace(base, sums=sums, counts=counts, recent=scenes, window=WINDOW)


SCENES = (
    Scene("white", 1, 0, 0.0),
    Scene("AR .9", 0, 1, 0.9),
    Scene("AR .9, 8 numbers", 0, 1, 0.9, 8),
    Scene("AR .99 (slow random drift)", 0, 1, 0.99),
    Scene("1 + 1, .99", 1, 1, 0.99),
    Scene("1 + .2, .9, 8 numbers", 1, 0.2, 0.9, 8),
    Scene("norm falls tenfold, exponentially", 1, 0.2, 0.9, 512, lambda x: 0.1**x),
    Scene("the same, 8 numbers", 1, 0.2, 0.9, 8, lambda x: 0.1**x),
    Scene("norm follows a cosine to 1/20", 1, 0.2, 0.9, 8, lambda x: 0.05 + (1 + math.cos(math.pi * x)) / 2),
    Scene("**norm doubles**", 1, 0.2, 0.9, 8, lambda x: 1.0 + (x >= 0.5)),
    Scene("**norm x 1.3**", 1, 0.2, 0.9, 8, lambda x: 1.0 + 0.3 * (x >= 0.5)),
    Scene("**rho .9 -> 0**", 0.2, 1, 0.9, 8, after=0.0),
)
NAMES = ("log gradient norm", "lag-1 correlation")


def alarms(runs: int, seed: int = 1000) -> str:
    """Table: for each scene the share of runs with an alarm, and the first one's median delay after the change."""
    rows = []
    for scene in SCENES:
        base = scene.record(torch.ones(STEPS // BLOCK, 2).double())
        first = [_first(changes(_with(base, x))) for x in scene.recent(runs, seed)]
        rows.append(f"| {scene.name} | " + " | ".join(_told([one.get(name) for one in first]) for name in NAMES) + " |")
    title = f"{runs} runs of {STEPS} steps, window {WINDOW}, risk .01, changes (bold) at step {AT}, seed {seed}.\n\n"
    return f"{title}| stream | {' | '.join(NAMES)} |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _with(base: Record, recent: Tensor) -> Record:
    steps = [n for n, _ in base.recent]
    return replace(base, recent=tuple((n, torch.stack([x, x])) for n, x in zip(steps, recent, strict=True)))


def _first(found: list[Change]) -> dict[str, int]:
    """The first alarm of each statistic over all."""
    return {c.statistic: c.step for c in reversed(found) if c.scope == "total"}


def _told(steps: list[int | None]) -> str:
    heard = sorted(n for n in steps if n is not None)
    when = f", median at step {heard[len(heard) // 2]}" if heard else ""
    return f"{len(heard)} of {len(steps)}{when}"
