"""Alarm: has a statistic changed? A martingale that may be looked at whenever one likes."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import final

import torch
from torch import Tensor

from .column import BLOCK
from .estimate import Change
from .record import Record
from .signal import memory

JUMP = 0.01
TINY = 1e-12
RISK = 0.01  # of a false alarm, for each statistic of each scope
SETTLED = 2.0  # windows of steps after which a stretch counts for alarms: the first steps of a run always differ
APART = 4.0  # how many memories long a stretch is: then neighbours are all but independent
PAST = 32  # stretches whose mean is what a norm is expected to be: norms that fall or rise steadily do not change

Bet = Callable[[float], float]  # of a rank, uniform on [0, 1] while nothing changes, under which its mean is 1
LINES: tuple[Bet, ...] = (lambda p: 1.5 - p, lambda p: 1.0, lambda p: 0.5 + p)
POWERS: tuple[Bet, ...] = (lambda p: 0.5 / math.sqrt(p + TINY), lambda p: 1.0, lambda p: 0.5 / math.sqrt(1 - p + TINY))


@final
@dataclass
class Jumper:
    """Vovk's jumper: it bets that the ranks of new values among the old ones are not uniform.

        p_n = (#{x_i > x_n} + theta_n #{x_i = x_n, i <= n}) / n
        C_f <- ((1 - J) C_f + J C / 3) f(p_n),    C = sum_f C_f
        LINES:  f(p) = 1 + e (p - 1/2), e in {-1, 0, 1};    POWERS:  f(p) in {1/2 p^-1/2, 1, 1/2 (1-p)^-1/2}

    C starts at 1 and is a martingale while values are exchangeable, so that it ever reaches 1 / risk with chance
    risk at most (Ville). Then it forgets what it has heard and starts anew. Values that follow one another
    closely are not exchangeable: give it means over stretches. theta has a generator of its own.
    A line wins half as much again at most, from ranks that lie a little out for long; powers win much, and soon, from
    those that lie far out. Source: Vovk et al., arXiv 2102.10439; powers: Fedorova et al., arXiv 1204.3251.

    >>> jumper = Jumper(risk=0.01)
    >>> [n for n in range(80) if jumper.hear(float(n > 40) + n * 0.618 % 1)]
    [61]
    >>> jumper = Jumper(risk=0.01, odds=POWERS)
    >>> [n for n in range(80) if jumper.hear(float(n > 40) + n * 0.618 % 1)]
    [55]
    """

    risk: float = 0.01
    odds: tuple[Bet, ...] = LINES
    known: list[float] = field(default_factory=list)
    bets: list[float] = field(default_factory=lambda: [1 / 3] * 3)
    top: float = 0.0  # the martingale's value at the last alarm
    luck: Random = field(default_factory=lambda: Random(0))

    @property
    def capital(self) -> float:
        """The martingale."""
        return sum(self.bets)

    def hear(self, x: float) -> bool:
        """Whether this value raises the alarm."""
        if x != x:
            return False
        p, capital = self._rank(x), self.capital
        self.bets = [((1 - JUMP) * c + JUMP * capital / 3) * f(p) for c, f in zip(self.bets, self.odds, strict=True)]
        alarm = self.capital >= 1 / self.risk
        if alarm:
            self.top = self.capital
            self.known, self.bets = [], [1 / 3] * 3
        return alarm

    def _rank(self, x: float) -> float:
        insort(self.known, x)
        left = bisect_left(self.known, x)
        equal = sum(1 for y in self.known[left:] if y == x) if self.known[left + 1 : left + 2] == [x] else 1
        return (len(self.known) - left - equal + self.luck.random() * equal) / len(self.known)


def changes(record: Record, risk: float = RISK) -> list[Change]:
    """Alarms of the log gradient norm and of the lag-1 correlation, over all and for each role.

    Both are means over stretches that are longer the longer gradients remember, so that stretches are exchangeable
    while nothing changes; of a long memory and a short run nothing can be said. The norm is taken against the mean
    of the PAST stretches before: a learning rate that falls slowly moves it, and that is no change. So a norm that
    has changed comes back to its mean in time, and lines tell of it; a correlation stays, and powers tell sooner.
    """
    found = []
    for i, scope in enumerate(record.scopes):
        recent = [(step, x[i]) for step, x in record.recent if step > SETTLED * record.window]
        steps, sums = stretches(recent, blocks(record, "" if scope == "total" else scope))
        norm = sums[:, 0].log() / 2
        turns = sums[:, 1] / sums[:, 0]
        for name, x, odds in (("log gradient norm", against(norm), LINES), ("lag-1 correlation", turns, POWERS)):
            jumper = Jumper(risk, odds)
            found += [
                Change(n, scope, name, jumper.top, risk)
                for n, y in zip(steps, x.tolist(), strict=True)
                if math.isfinite(y) and jumper.hear(y)
            ]
    return sorted(found)


def blocks(record: Record, role: str) -> int:
    """How many blocks of steps make a stretch, by the memory of a role's gradients, or of all."""
    of = torch.tensor([not role or one == role for one in record.roles])
    r = (record.sums[:, of].sum((0, 1)) / record.counts.sum(0))[record.columns["euclid"]]
    return max(1, math.ceil(APART * memory(r)[1] / BLOCK))


def stretches(recent: list[tuple[int, Tensor]], size: int) -> tuple[list[int], Tensor]:
    """Sums over so many blocks, [stretches, 2], and the steps that they end with."""
    n = len(recent) // size
    sums = torch.stack([x for _, x in recent[: n * size]]) if n else torch.zeros(0, 2)
    return [step for step, _ in recent[size - 1 : n * size : size]], sums.double().unflatten(0, (n, size)).sum(1)


def against(x: Tensor) -> Tensor:
    """x less the mean of the PAST values before it; nan where there are not so many. [N] -> [N]

    >>> against(torch.arange(34.0))[-2:].tolist()
    [16.5, 16.5]
    """
    if len(x) <= PAST:
        return torch.full_like(x, math.nan)
    return torch.cat([torch.full_like(x[:PAST], math.nan), x[PAST:] - x[:-1].unfold(0, PAST, 1).mean(1)])
