"""Grafting: the direction of one metric, the length of another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, each, over
from ..core.memory import Memory
from ..core.part import Metric
from .bent import Bent


@final
@dataclass(frozen=True)
class Grafted(Bent):
    """Which way one metric says, as far as another would have gone (Shampoo's grafting).

        direction(U) = d |d'| / |d|,    d = metric.direction(U),    d' = size.direction(U)

    |.|: Frobenius, of every matrix of a stack. So a learned preconditioner of unknown scale takes over the lr of the
    metric whose length it has: SecondMoment for Adam's, Euclid for SGD's, Sign for one of fixed size. The unit ball is
    `metric`'s, so norm and dual are, too; power is `size`'s. Memory: both. Reference: Agarwal et al., arXiv 2002.11803.

    >>> from fallline import Kronecker, SecondMoment
    >>> print(Grafted(Kronecker(0.95), SecondMoment(0.95)))
    Grafted(Kronecker(0.95), SecondMoment(0.95))
    """

    size: Metric

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Both."""
        way, size = self.metric.memory(p), self.size.memory(p)
        if twice := way.keys() & size.keys():
            raise ValueError(f"{self} cannot be: both remember {', '.join(sorted(twice))}. Graft to another metric.")
        return way | size

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """Both."""
        self.metric.observe(g, mem, t)
        self.size.observe(g, mem, t)

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """d |d'| / |d|."""
        return each(_sized, self.metric.direction(u, mem, t), self.size.direction(u, mem, t))

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """That of the metric whose length it has."""
        return self.size.power(gram, g, mem, t)


def _sized(d: Tensor, like: Tensor) -> Tensor:
    have, want = (torch.linalg.matrix_norm(x, keepdim=True) for x in (d, like))
    return d * over(want, have)
