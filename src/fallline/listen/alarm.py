"""Alarm: has a statistic changed? A martingale that may be looked at whenever one likes."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from random import Random
from typing import final

JUMP = 0.01
BETS = (-1.0, 0.0, 1.0)


@final
@dataclass
class Jumper:
    """Vovk's simple jumper: it bets that the ranks of new values among the old ones are not uniform.

        p_n = (#{x_i > x_n} + theta_n #{x_i = x_n, i <= n}) / n
        C_e <- ((1 - J) C_e + J C / 3) (1 + e (p_n - 1/2)),    e in {-1, 0, 1},    C = sum_e C_e

    C starts at 1 and is a martingale while values are exchangeable, so that it ever reaches 1 / risk with chance
    risk at most (Ville). Then it forgets what it has heard and starts anew. Values that follow one another
    closely are not exchangeable: give it means over stretches. theta has a generator of its own.
    Source: Vovk et al., arXiv 2102.10439.

    >>> jumper = Jumper(risk=0.01)
    >>> [n for n in range(80) if jumper.hear(float(n > 40) + n * 0.618 % 1)]
    [61]
    """

    risk: float = 0.01
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
        self.bets = [
            ((1 - JUMP) * c + JUMP * capital / 3) * (1 + e * (p - 0.5)) for c, e in zip(self.bets, BETS, strict=True)
        ]
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
