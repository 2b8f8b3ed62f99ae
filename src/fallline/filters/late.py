"""A filter that does not see the first gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.chooser import Chooser
from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Filter


@final
@dataclass(frozen=True)
class Late(Filter):
    """Another filter that starts a few steps late (SOAP: the first gradient only tells where to look).

        u_n = filter(g_n, ..., g_{1 + steps})          u_n = 0 for n <= steps

    As a causal filter: the other's taps at age n - steps, then zeros. Memory: the other's. steps >= 1.

    >>> from fallline import EMA
    >>> Late(EMA(0.5)).taps(3).tolist() == [*EMA(0.5).taps(2).tolist(), 0.0]
    True
    """

    filter: Filter
    steps: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.filter, Chooser) or self.filter.matrix:
            raise ValueError(f"{self.filter} cannot start late: give a filter of each coordinate that chooses nothing.")
        if self.steps < 1:
            raise ValueError(f"Invalid steps: {self.steps}; a filter starts one step late or more.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The filter's."""
        return self.filter.memory(p)

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """What is 0 leaves a memory of nothing as it is."""
        self.filter.remember(self._seen(g, t), mem, self._age(t))

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """The filter's, which is 0 until it sees something."""
        return self.filter.output(self._seen(g, t), mem, self._age(t))

    def taps(self, n: int) -> Tensor:
        """The filter's at its own age."""
        late = min(n, self.steps)
        return torch.cat([self.filter.taps(n - late) if n > late else torch.zeros(0), torch.zeros(late)]).double()

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """The filter's at its own age; 0 before."""
        return self.filter.gain(mem, self._age(t)) * (t > self.steps)

    def momentum(self, mem: Memory) -> Tensor | float:
        """The filter's."""
        return self.filter.momentum(mem)

    def _seen(self, g: Field, t: Tensor) -> Field:
        return g.mul((t > self.steps).to(t.dtype))

    def _age(self, t: Tensor) -> Tensor:
        return (t - self.steps).clamp(min=1)
