"""Tapes: who listens to a rule that runs on symbols.

The rule is read twice. Once, when a plan is made, by a `Writer`, which turns it into a `Program`: operations on one
coordinate, what is stored, what is summed. And in every step by a `Reader`, which only collects the numbers (learning
rate, decay factors, weights: everything that is not a field) in the order in which the program wants them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .symbol import Number, Op, Program, Symbol


class Writer:
    """Writes the program. Equal operations are written once.

    slots: of each number in the order of reading; two numbers that are always the same share one. kept: columns that
    are read only, whatever the rule does to them.
    """

    def __init__(
        self, columns: dict[str, tuple[torch.dtype, bool]], dtype: torch.dtype, kept: set[str], slots: list[int]
    ) -> None:
        self.columns, self.dtype, self.kept = columns, dtype, kept
        self.slots = iter(slots)
        self.numbers = len(set(slots))
        self.measuring = False
        self.ops: dict[Op, int] = {}
        self.stores: dict[str, int] = {}
        self.sums: list[int] = []

    def op(self, name: str, *operands: Any) -> int:
        return self.ops.setdefault((name, *operands), len(self.ops))

    def load(self, column: str) -> Symbol:
        """The field of a column."""
        return Symbol(self, self.op("load", column), column)

    def number(self, x: Number, form: str = "plain") -> int:
        return self.op("number", next(self.slots), form)

    def store(self, column: str, ref: int) -> None:
        if column not in self.kept:
            self.stores[column] = ref

    def total(self, ref: int) -> Tensor:
        if not self.measuring:
            raise NotImplementedError("a sum that is not measured")
        self.sums.append(ref)
        return torch.zeros(1, dtype=torch.float64)

    def count(self, sampled: bool) -> Tensor:
        return torch.ones(1, dtype=torch.float64)

    def program(self) -> Program:
        """What was said, without what nobody needs."""
        ops = list(self.ops)
        needed = _needed(ops, [*self.stores.values(), *self.sums])
        used = sorted({ops[ref][1] for ref in needed if ops[ref][0] == "load"} | self.stores.keys())
        place = {column: i for i, column in enumerate(used)}
        name = {ref: i for i, ref in enumerate(needed)}
        return Program(
            columns=tuple((column, *self.columns[column]) for column in used),
            ops=tuple(_renamed(ops[ref], name, place) for ref in needed),
            stores=tuple((place[column], name[ref]) for column, ref in self.stores.items()),
            sums=tuple(name[ref] for ref in self.sums),
            numbers=self.numbers,
            dtype=self.dtype,
        )


class Reader:
    """Collects the numbers of one step, and runs the kernel as soon as it knows all that the program needs.

    places: which of the numbers in the order of reading fill the program's slots. A rule that asks for a sum before it
    has told its last number (measure and apply in one pass) gets zeros; whoever reads it asks again afterwards.
    """

    def __init__(
        self,
        columns: dict[str, tuple[torch.dtype, bool]],
        dtype: torch.dtype,
        counts: tuple[Tensor, Tensor],
        places: list[int],
        run: Callable[[list[Number]], Tensor],
        sums: Tensor | None = None,
    ) -> None:
        self.columns, self.dtype, self.counts = columns, dtype, counts
        self.places, self.run, self.sums = places, run, sums
        self.last = max(places, default=-1)
        self.numbers: list[Number] = []
        self.measuring = False
        self.asked = 0
        self.early = False

    def finish(self) -> Tensor:
        """The sums, [tensors, sums]."""
        if self.sums is None:
            self.sums = self.run([self.numbers[place] for place in self.places])
        return self.sums

    def op(self, name: str, *operands: Any) -> int:
        return 0

    def load(self, column: str) -> Symbol:
        """The field of a column."""
        return Symbol(self, 0, column)

    def number(self, x: Number, form: str = "plain") -> int:
        self.numbers.append(x)
        return 0

    def store(self, column: str, ref: int) -> None:
        pass

    def total(self, ref: int) -> Tensor:
        if self.sums is None and len(self.numbers) <= self.last:
            self.early = True
            return torch.zeros_like(self.counts[0])
        self.asked += 1
        return self.finish()[:, self.asked - 1]

    def count(self, sampled: bool) -> Tensor:
        return self.counts[sampled]


WITHOUT = {"load": 2, "number": 3}  # operations of which these first words are no operations


def _operands(op: Op) -> tuple[int, ...]:
    return () if op[0] in WITHOUT else tuple(x for x in op[1:] if isinstance(x, int))


def _needed(ops: list[Op], roots: list[int]) -> list[int]:
    found: set[int] = set()
    while roots:
        ref = roots.pop()
        if ref not in found:
            found.add(ref)
            roots.extend(_operands(ops[ref]))
    return sorted(found)


def _renamed(op: Op, name: dict[int, int], place: dict[str, int]) -> Op:
    if op[0] == "load":
        return ("load", place[op[1]])
    return op if op[0] == "number" else (op[0], *(name[x] if isinstance(x, int) else x for x in op[1:]))
