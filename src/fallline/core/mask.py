"""Masks: maps that look at the raw gradient beside the field that they transform."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

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


def mapped(rule: Any, slot: str, u: Field, g: Field, mem: dict[str, Memory], t: Tensor) -> Field:
    """What the map in a slot makes of u, if there is one. Only masks are shown the gradient: it may lie elsewhere."""
    part = getattr(rule, slot)
    if part is None:
        return u
    u = u if part.elementwise else whole(u)
    seen = mem[slot]
    return part.beside(u, rule.sees(slot, g), seen, t) if isinstance(part, Mask) else part(u, seen, t)
