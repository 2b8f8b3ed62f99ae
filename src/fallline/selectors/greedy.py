"""Greedy alignment: the candidate that pays best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.chooser import Selector
from ..core.memory import Memory
from ..statistics.alignment import pay
from ..statistics.average import smooth
from .option import check, one_hot

TIE = 1e-6  # a lead below rounding is no lead: at the first step all candidates hold the same thing


@final
@dataclass(frozen=True)
class Greedy(Selector):
    """Take the candidate with the largest pay.

        pay_k = <g_n, D^-1 m_k> / sqrt(power_k)        choice = argmax_k pay_k
        power_k = (sum of squared taps of k) x mean(1 / D)

    scope: "global" (alignments and powers summed over all parameters) or "parameter" (each tensor chooses for itself).
    score: "same" batch on both sides (the paper; its noise power at lag 0 asks for short memory), or "held-out" (only
    what earlier batches left in m_k; asks for long memory, can overshoot). power: "exact" after n steps, or
    "asymptotic" (favours long memory at the start). smoothing: decay of an average of pay. hysteresis: steps in a row
    that a challenger must lead; a tie changes nothing. Memory per scope: `pay`, `wins` [K] and counters.
    Reference: Lee & Lee, arXiv 2512.06370.

    >>> print(Greedy(smoothing=0.9, hysteresis=5))
    Greedy('global', smoothing=0.9, hysteresis=5)
    """

    scope: str = "global"
    score: str = "same"
    power: str = "exact"
    smoothing: float = 0.0
    hysteresis: int = 1

    def __post_init__(self) -> None:
        check(self)
        if not isinstance(self.hysteresis, int) or self.hysteresis < 1:
            raise ValueError(f"Invalid hysteresis: {self.hysteresis!r}; a challenger leads for at least 1 step.")

    def decisions(self, k: int) -> dict[str, Tensor]:
        """Averages and counters, the choice at first the shortest memory."""
        rows = {name: torch.zeros(k, dtype=torch.float64) for name in ("pay", "wins")}
        numbers = ("steps", "choice", "rival", "lead", "switches")
        return rows | {name: torch.zeros((), dtype=torch.float64) for name in numbers}

    def choose(self, alignment: Tensor, power: Tensor, mem: Memory) -> Tensor:
        """One-hot on the winner, [scopes, K]."""
        seen = smooth(pay(alignment, power), mem.pay, mem.steps, self.smoothing)
        best, rival = seen.max(-1)
        mine = seen.gather(-1, mem.choice.long()[:, None])[:, 0]
        leads = (best - mine > TIE * seen.abs().amax(-1)).to(seen.dtype)
        streak = mem.lead * (rival == mem.rival) if self.hysteresis > 1 else 0
        mem.lead.copy_((streak + 1) * leads)
        mem.rival.copy_(rival)
        switch = mem.lead >= self.hysteresis
        mem.switches.add_(switch)
        mem.choice.copy_(torch.where(switch, mem.rival, mem.choice))
        weights = one_hot(seen.shape[1], seen.device)[mem.choice.long()]
        mem.wins.add_(weights)
        return weights
