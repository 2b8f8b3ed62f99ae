"""Symbols: fields without numbers. A rule that is run on them says what it does to one coordinate; a tape listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..field import Bundle, Elsewhere

Op = tuple[Any, ...]
Number = float | Tensor | Bundle


# Operations that C and Python write alike; the printers add their own for the others.
ARITHMETIC: dict[str, str] = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "lerp": "{3} * {0} + {2} * {1}",
    "neg": "-{0}",
}


@dataclass(frozen=True)
class Program:
    """What happens to one coordinate, in single assignments: an operation's place in `ops` is its name.

        ("load", column)  ("number", slot, form)  ("add" | "sub" | "mul" | "maximum", a, b)  ("lerp", a, b, w, 1 - w)
        ("neg" | "sqrt" | "sign" | "abs" | "reciprocal", a)  ("cast", a, dtype)

    form: "plain" x, "inverse" 1 / x or "complement" 1 - x, computed in float64. columns: (name, dtype, sampled) of the
    tensors that are read or written; stores: (column, operation); sums: operations that are summed over coordinates.
    """

    columns: tuple[tuple[str, torch.dtype, bool], ...]
    ops: tuple[Op, ...]
    stores: tuple[tuple[int, int], ...]
    sums: tuple[int, ...]
    numbers: int
    dtype: torch.dtype


class Tape(Protocol):
    """Who listens while a rule runs on symbols."""

    columns: dict[str, tuple[torch.dtype, bool]]  # (dtype, whether it is like the sample)
    dtype: torch.dtype  # of the arithmetic
    measuring: bool  # whether sums may be asked for

    def op(self, name: str, *operands: Any) -> int:
        """An operation on one coordinate; gives its name."""

    def number(self, x: Number, form: str = "plain") -> int:
        """A number that is the same for all coordinates of a tensor."""

    def store(self, column: str, ref: int) -> None:
        """A field was written to."""

    def total(self, ref: int) -> Tensor:
        """The sum over the coordinates of each tensor, [tensors] float64."""

    def count(self, sampled: bool) -> Tensor:
        """The number of coordinates, [tensors] float64."""


class Symbol(Elsewhere):
    """One coordinate of a field: speaks Tensor's vocabulary, and tells a tape what is said."""

    __slots__ = ("column", "ref", "sampled", "tape")

    def __init__(self, tape: Tape, ref: int, column: str | None = None, sampled: bool = False) -> None:
        self.tape, self.ref, self.column, self.sampled = tape, ref, column, sampled

    def _say(self, name: str, *others: Any) -> Symbol:
        sampled = self.sampled or any(x.sampled for x in others if isinstance(x, Symbol))
        return Symbol(self.tape, self.tape.op(name, self.ref, *map(self._ref, others)), None, sampled)

    def _ref(self, x: Any, form: str = "plain") -> int:
        return x.ref if isinstance(x, Symbol) else self.tape.number(x, form)

    def _become(self, other: Symbol) -> Symbol:
        self.ref = other.ref
        if self.column is not None:
            self.tape.store(self.column, self.ref)
        return self

    def __add__(self, other: Any) -> Symbol:
        return self._say("add", other)

    def __sub__(self, other: Any) -> Symbol:
        return self._say("sub", other)

    def __mul__(self, other: Any) -> Symbol:
        return self._say("mul", other)

    def __truediv__(self, other: Any) -> Symbol:
        if isinstance(other, Symbol):
            return self._say("mul", other.reciprocal())
        return Symbol(self.tape, self.tape.op("mul", self.ref, self._ref(other, "inverse")), None, self.sampled)

    add, mul, div = __add__, __mul__, __truediv__

    def __neg__(self) -> Symbol:
        return self.neg()

    def neg(self) -> Symbol:
        return self._say("neg")

    def sqrt(self) -> Symbol:
        return self._say("sqrt")

    def sign(self) -> Symbol:
        return self._say("sign")

    def abs(self) -> Symbol:
        return self._say("abs")

    def reciprocal(self) -> Symbol:
        return self._say("reciprocal")

    def maximum(self, other: Symbol) -> Symbol:
        return self._say("maximum", other)

    def square(self) -> Symbol:
        return self._say("mul", self)

    @property
    def dtype(self) -> torch.dtype:
        return self.tape.dtype if self.column is None else self.tape.columns[self.column][0]

    def to(self, dtype: torch.dtype) -> Symbol:
        """The arithmetic has the widest dtype anyway: only a narrower one changes something."""
        ref = self.ref if dtype is self.tape.dtype else self.tape.op("cast", self.ref, dtype)
        return Symbol(self.tape, ref, None, self.sampled)

    def lerp(self, end: Symbol, weight: Any) -> Symbol:
        parts = (self.ref, end.ref, self._ref(weight), self._ref(weight, "complement"))
        return Symbol(self.tape, self.tape.op("lerp", *parts), None, self.sampled or end.sampled)

    def lerp_(self, end: Symbol, weight: Any) -> Symbol:
        return self._become(self.lerp(end, weight))

    def add_(self, other: Any) -> Symbol:
        return self._become(self + other)

    def mul_(self, other: Any) -> Symbol:
        return self._become(self * other)

    def copy_(self, other: Symbol) -> Symbol:
        return self._become(other.to(self.dtype))

    def sample(self, pick: Callable[[Tensor], Tensor]) -> Symbol:
        return Symbol(self.tape, self.ref, None, True)

    def total(self) -> Tensor:
        return self.tape.total(self.ref)

    def count(self) -> Tensor:
        return self.tape.count(self.sampled)
