"""Probe: K candidates on a sample of coordinates, one buffer in full. Choosing a momentum for almost nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.chooser import Aim, Selector
from ..core.error import SlotError
from ..core.field import Field, count, each, lerp, lerp_
from ..core.memory import Memory, numbers
from ..core.place import Runs
from ..statistics.response import moving
from ..statistics.sample import runs, sample
from .candidate import Candidates


@final
@dataclass(frozen=True)
class Probe(Candidates):
    """Candidates are judged on a fixed sample of coordinates; the parameter has one buffer, whose decay is the choice.

        on the sample:  m_k <- beta_k m_k + (1 - beta_k) g
        in full:        m <- beta m + (1 - beta) g,    u = c [(1 - nu) g + nu m],    c from `scale`

    beta, nu are the choice's. Since beta moves, the taps' sum s and energy e are kept beside m: s <- beta s + 1 - beta,
    e <- beta^2 e + (1 - beta)^2. As a causal filter: one pole that moves. Memory: `m` like the parameter, `m0` ..
    `m{K-1}` like its sample (`statistics/sample.py`), `sum`, `energy`; per scope `weights` and the selector's own.

    >>> from fallline import Greedy
    >>> print(Probe((0.5, 0.9, 0.99), Greedy()))
    Probe((0.5, 0.9, 0.99), Greedy('global'))
    """

    def __post_init__(self) -> None:
        if isinstance(self.selector, Selector) and not self.selector.single:
            raise SlotError(f"{self.selector} mixes candidates, but a Probe has only one full buffer. Use a Bank.")
        Candidates.__post_init__(self)

    def runs(self, n: int) -> Runs:
        """The sample."""
        return runs(n)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The full buffer, its taps' sum and energy, and the sampled candidates."""
        seen = sample(p) if p.numel() else p
        side_by_side = seen.new_zeros(len(self.filters), *seen.shape)  # one place in memory for what is read together
        sampled = {f"m{k}": m for k, m in enumerate(side_by_side)} if self.measures else {}
        return {"m": torch.zeros_like(p), **numbers({"sum": 0.0, "energy": 0.0}, p.device), **sampled}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """The candidates take in the sample; the full buffer waits for the choice."""
        if self.measures:
            seen = sample(g)
            for k, c in enumerate(self.filters):
                mem[f"m{k}"].lerp_(seen, 1 - c.beta)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<g, D^-1 u_k> and the power of every candidate: the sample's sums over its share of the tensor."""
        seen = sample(g)
        us = [c.blend(seen, mem[f"m{k}"]) for k, c in enumerate(self.filters)]
        share = count(seen) / count(g)
        return self.tally(seen, us, aim.at(sample), t) / share[:, None]

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """The full buffer takes in g with the chosen decay; c [(1 - nu) g + nu m]."""
        beta, nu = self.blended(mem)
        fresh = each(lambda b: 1 - b, beta)
        lerp_(mem.m, g, fresh)
        mem.sum.mul_(beta).add_(fresh)
        mem.energy.mul_(each(torch.square, beta)).add_(each(torch.square, fresh))
        u = lerp(g, mem.m, nu) if self.ahead else mem.m
        return u.mul(self._factor(mem, beta, nu, t))

    def _loudness(self, mem: Memory, t: Tensor) -> Tensor:
        """c times the sum of the taps that made the last output."""
        beta, nu = self.blended(mem)
        taps = each(lambda *seb: self._heard(*seb)[0], mem.sum, mem.energy, beta, nu)
        return self._factor(mem, beta, nu, t) * taps

    def _heard(self, s: Tensor, e: Tensor, beta: Tensor, nu: Tensor) -> tuple[Tensor, Tensor]:
        return moving(s, e, beta, nu) if self.ahead else (s, e)

    def _factor(self, mem: Memory, beta: Tensor, nu: Tensor, t: Tensor) -> Tensor:
        def factor(s: Tensor, e: Tensor, b: Tensor, n: Tensor) -> Tensor:
            return self.scale.factor(*self._heard(s, e, b, n), b, t)

        return each(factor, mem.sum, mem.energy, beta, nu)
