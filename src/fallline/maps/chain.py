"""Two maps, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.error import SlotError
from ..core.field import Field
from ..core.mask import Mask
from ..core.memory import Memory
from ..core.part import Map


@final
@dataclass(frozen=True)
class Chain(Map):
    """First one map, then the other: second(first(u)). A chain of chains makes longer ones.

    Memory: `first.*` and `second.*`. Works on matrices, whatever its members do.

    >>> from fallline import ElementMoment, Rms
    >>> print(Chain(ElementMoment(0.95), Rms(0.2)))
    Chain(ElementMoment(0.95), Rms(0.2))
    """

    first: Map
    second: Map
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Both."""
        pairs = (("first", self.first), ("second", self.second))
        return {f"{place}.{name}": x for place, part in pairs for name, x in part.memory(p).items()}

    def __post_init__(self) -> None:
        if isinstance(self.first, Mask) or isinstance(self.second, Mask):
            raise SlotError(f"{self} would hide the gradient from a mask. Give the mask a slot of its own: after=.")

    @property
    def observes(self) -> bool:
        """Whether one of them watches the raw gradient."""
        return self.first.observes or self.second.observes

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """Both watch the raw gradient."""
        self.first.observe(g, mem.within("first"), t)
        self.second.observe(g, mem.within("second"), t)

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """second(first(u))."""
        return self.second(self.first(u, mem.within("first"), t), mem.within("second"), t)
