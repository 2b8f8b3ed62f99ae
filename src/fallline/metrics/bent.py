"""Directions that start as a metric's and are then changed, so that no unit ball has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..core.field import Field, inner
from ..core.memory import Memory
from ..core.part import Metric


@dataclass(frozen=True)
class Bent(Metric):
    """A metric whose directions are changed afterwards: norm and dual stay the metric's.

    So <g, direction(g)> is not the dual, and it is what alignment measures.
    """

    metric: Metric
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True
    linear: ClassVar[bool] = False

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """The metric's."""
        return self.metric.norm(w, mem, t)

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """The metric's."""
        return self.metric.dual(g, mem, t)

    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        """<g, direction(u_k)>."""
        return torch.stack([inner(g, self.direction(u, mem, t)) for u in us], -1)
