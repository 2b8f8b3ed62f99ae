"""Bank: K candidates in full, the paper's way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.chooser import Aim
from ..core.field import Field, each
from ..core.memory import Memory
from ..statistics import response
from .candidate import Candidates


@final
@dataclass(frozen=True)
class Bank(Candidates):
    """K filters side by side, each with a buffer of its own; a selector weighs them.

        m_k <- beta_k m_k + (1 - beta_k) g          u = c sum_k w_k [(1 - nu_k) g + nu_k m_k],    c from `scale`

    As a causal filter: sum_k w_k q_k, one of the candidates if w is one-hot. Memory: `m0` .. `m{K-1}`, like the
    parameter; per scope the weights `weights` and the selector's own. Reference: Lee & Lee, arXiv 2512.06370.

    >>> from fallline import Bank, Greedy
    >>> print(Bank((0.99, 0.5), Greedy()))
    Bank((0.5, 0.99), Greedy('global'))
    """

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """A buffer for each candidate."""
        return {f"m{k}": torch.zeros_like(p) for k in range(len(self.candidates))}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """m_k <- beta_k m_k + (1 - beta_k) g."""
        for k, c in enumerate(self.filters):
            mem[f"m{k}"].lerp_(g, 1 - c.beta)

    def _outputs(self, g: Field, mem: Memory) -> list[Field]:
        return [c.blend(g, mem[f"m{k}"]) for k, c in enumerate(self.filters)]

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<g, D^-1 u_k> and the power of every candidate."""
        return self.tally(g, self._outputs(g, mem), aim, t)

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """c sum_k w_k u_k."""
        factor = self._factor(mem, t)
        parts = [
            u.mul(each(lambda w, c, k=k: w[k] * c, mem.weights, factor)) for k, u in enumerate(self._outputs(g, mem))
        ]
        return sum(parts[1:], start=parts[0])

    def _loudness(self, mem: Memory, t: Tensor) -> Tensor:
        """c times the mixture's sum of taps."""
        gains = response.gain(*self.poles(t.device), t)
        return self._factor(mem, t).mul(each(lambda w: (w * gains).sum(), mem.weights))

    def _factor(self, mem: Memory, t: Tensor) -> Tensor:
        beta, nu = self.poles(t.device)
        gains, gram = response.gain(beta, nu, t), response.gram(beta, nu, t)
        return each(
            lambda w, b: self.scale.factor((w * gains).sum(), w @ gram @ w, b, t), mem.weights, self.blended(mem)[0]
        )
