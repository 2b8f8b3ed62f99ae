"""A metric on the heaviest slices of a matrix alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each, inner
from ..core.memory import Memory
from ..core.part import Metric
from ..statistics import slice as slices


@final
@dataclass(frozen=True)
class Sliced(Metric):
    """direction(U) = the metric's direction of U's heaviest slices, zero elsewhere.

    The ceil(fraction dim) slices of largest l1 norm are gathered into a smaller matrix first: its polar factor costs
    about fraction^2 of the whole one's. Where all other slices are zero already, as after `SliceEF`, the result is the
    direction of the whole, since polar([X; 0]) = [polar(X); 0]. metric: one without memory. axis: slices are rows (-2),
    columns (-1), or counted along the shorter side (None). Memory: none. norm: the metric's. Reference: Dion2, arXiv
    2512.16928.

    >>> from fallline import SVD, Spectral
    >>> u, t = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor(1.0)
    >>> Sliced(Spectral(SVD()), 0.5).direction(u, Memory({}), t)
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """

    metric: Metric
    fraction: float = 0.25
    axis: int | None = None
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        slices.check_slices(self.fraction, self.axis)
        if self.metric.memory(torch.empty(2, 2)):
            raise ValueError(f"{self.metric} remembers whole matrices, so it cannot be asked about slices.")

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """The metric's direction of the slices, in their places."""
        at = self._heaviest(u)
        d = self.metric.direction(self._take(u, at), mem, t)
        return each(lambda part, where, like: slices.put(part, where, like, self.axis), d, at, u)

    def _heaviest(self, u: Field) -> Field:
        return each(lambda x: slices.heaviest(x, self.fraction, self.axis), u)

    def _take(self, u: Field, at: Field) -> Field:
        return each(lambda x, where: slices.take(x, where, self.axis), u, at)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """The metric's."""
        return self.metric.norm(w, mem, t)

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """The metric's, of the slices."""
        return self.metric.dual(self._take(g, self._heaviest(g)), mem, t)

    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        """<g, direction(u_k)>."""
        return torch.stack([inner(g, self.direction(u, mem, t)) for u in us], -1)

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """The metric's."""
        return self.metric.power(gram, g, mem, t)
