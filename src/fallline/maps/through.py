"""A metric as a map: what one metric makes of a field, another takes up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.error import SlotError
from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Around, Map, Metric


@final
@dataclass(frozen=True)
class Through(Around, Map):
    """u goes through another metric first, or afterwards: metric.direction(u).

    Through(Sign()) is the sign of every entry, Through(SecondMoment(b)) Adam's whitening; the metric watches the raw
    gradient as it would in its own slot. Memory: the metric's. Two metrics in a row are in general no metric.

    >>> from fallline import SecondMoment
    >>> print(Through(SecondMoment(0.999)))
    Through(SecondMoment(0.999))
    """

    metric: Metric
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Metric):
            raise SlotError(f"Through needs a Metric, such as Sign(), but got {self.metric!r}.")

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """metric.direction(u)."""
        return self.metric.direction(u, mem, t)
