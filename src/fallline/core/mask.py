"""Masks: maps that look at the raw gradient beside the field that they transform."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor

from .field import Field
from .memory import Memory
from .part import Map
from .shard import whole


class Mask(Map):
    """A map that holds a field against the gradient of the step; nothing of that is remembered."""

    @abstractmethod
    def beside(self, u: Field, g: Field, mem: Memory, t: Tensor) -> Field:
        """The transformed field, with what filter and metric saw of the gradient."""

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """As if u were the gradient itself, so that nothing speaks against it."""
        return self.beside(u, u, mem, t)


def mapped(part: Map, u: Field, g: Callable[[], Field], mem: Memory, t: Tensor) -> Field:
    """What a map makes of u. g: asked only by those who look at it, for parts of it may lie elsewhere."""
    u = u if part.elementwise else whole(u)
    return part.beside(u, g(), mem, t) if isinstance(part, Mask) else part(u, mem, t)
