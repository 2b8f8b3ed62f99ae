"""Readings: what of a rule one pass over memory performs, and the program that this makes.

look    are the gradients finite: sum of 0 g
scout   remember and measure on a sample of the coordinates; what is kept of the others stays as it is
first   remember and measure              second  apply
whole   remember, measure and apply       walk    after a scout: observe and apply
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from ..field import Field, total
from ..measure import Moment
from ..memory import Memory
from ..rule import SIZE, Rule
from .symbol import Program
from .tape import Reader, Writer


@dataclass(frozen=True, eq=False)
class Sight:
    """What a rule sees in one pass: fields from a tape, numbers as they are.

    fields: the flat keys of the state's fields; decided: its other entries.
    """

    rule: Rule
    tape: Writer | Reader
    fields: Iterable[str]
    decided: dict[str, Field]
    t: Tensor
    lr: Tensor
    maximize: bool

    @cached_property
    def mem(self) -> dict[str, Memory]:
        """What every part remembers."""
        entries: dict[str, Any] = {key: self.tape.load(key) for key in self.fields} | self.decided
        slots: dict[str, dict[str, Any]] = {slot: {} for slot in self.rule.parts}
        for key, x in entries.items():
            slot, _, name = key.partition(".")
            slots[slot][name] = x
        return {slot: Memory(found) for slot, found in slots.items()}

    def load(self, column: str) -> Field:
        """The parameter or its gradient."""
        symbol: Any = self.tape.load(column)
        return symbol

    def perform(self, reading: str) -> dict[str, Tensor]:
        """Run the rule, as far as this reading goes; what was measured, by slot."""
        g = self.load("g")
        if reading == "look":
            self.tape.measuring = True
            return {"look": total(g.mul(0.0))}
        rule, mem, p = self.rule, self.mem, self.load("p")
        g = rule.gradient(g.neg() if self.maximize else g, p, mem, self.t)
        told: dict[str, Tensor] = {}
        if reading in ("scout", "first", "whole"):
            told = self.measured(g, early=True)
            rule.remember(g, mem, self.t, self.lr)
            told |= self.measured(g)
        elif reading == "walk":
            rule.learn(g, mem, self.t)
        if reading in ("whole", "walk", "second"):
            rule.apply(p, g, mem, self.t, self.lr)
        return told

    def answer(self) -> dict[str, Tensor]:
        """What is measured, once the tape knows the sums."""
        g = self.rule.gradient(self.load("g"), self.load("p"), self.mem, self.t)
        return self.measured(g, early=True) | self.measured(g)

    def measured(self, g: Field, early: bool = False) -> dict[str, Tensor]:
        """What the rule measures, the only time that it may ask for sums: elsewhere it would not wait for them."""
        self.tape.measuring = True
        told = Moment(self.rule, g, self.mem, self.t, self.lr, self.load("p")).measure(early)
        self.tape.measuring = False
        return told


def columns(rule: Rule, dtype: torch.dtype) -> dict[str, tuple[torch.dtype, bool]]:
    """All that a pass may read or write for weights of this dtype: (dtype, whether it is like the sample)."""
    return {"p": (dtype, False), "g": (dtype, False)} | rule.layout(dtype).fields


@lru_cache(maxsize=1024)
def write(rule: Rule, reading: str, dtype: torch.dtype, maximize: bool) -> tuple[Program, list[int]]:
    """The program of a reading for weights of this dtype, and which numbers fill its slots."""
    found = columns(rule, dtype)
    kept = {name for name, (_, sampled) in found.items() if not sampled} if reading == "scout" else set()
    slots, places = _shared(rule, reading, dtype)
    tapes = [Writer(found, rule.computes_in(dtype), kept, slots) for _ in AGES]
    for tape, age in zip(tapes, AGES, strict=True):
        draw(rule, tape, dtype, maximize, *age).perform(reading)
    first, *others = (tape.program() for tape in tapes)
    if any(other != first for other in others):
        raise NotImplementedError("another formula at another age")
    return first, places


AGES = ((3.0, 0.37), (1.0, 0.61), (7.0, 0.53), (1e6, 0.29))  # steps and learning rates of stand-ins


def draw(rule: Rule, tape: Writer | Reader, dtype: torch.dtype, maximize: bool, t: float, lr: float) -> Sight:
    """A sight of a step that never was: its decisions are drawn at random."""
    source = torch.Generator().manual_seed(int(t))
    drawn = {key: torch.rand(shape, generator=source, dtype=torch.float64) for key, shape in _shapes(rule, dtype)}
    age, rate = torch.tensor([t, lr], dtype=torch.float64).unbind()
    return Sight(rule, tape, rule.layout(dtype).fields, drawn, age, rate, maximize)


@lru_cache(maxsize=256)
def _shapes(rule: Rule, dtype: torch.dtype) -> list[tuple[str, torch.Size]]:
    """Of all numbers in the state."""
    state = rule.state(torch.empty(SIZE, dtype=dtype))
    return [(key, state[key].shape) for key in rule.layout(dtype).numbers]


def numbers(rule: Rule, reading: str, dtype: torch.dtype, t: float, lr: float) -> list[float]:
    """The numbers of a step that never was, in the order of reading."""
    nothing = torch.zeros(1, dtype=torch.float64)
    tape = Reader(columns(rule, dtype), rule.computes_in(dtype), (nothing, nothing), [1 << 30], lambda _: nothing)
    draw(rule, tape, dtype, False, t, lr).perform(reading)
    return [float(x) for x in tape.numbers]  # type: ignore[arg-type]


def _shared(rule: Rule, reading: str, dtype: torch.dtype) -> tuple[list[int], list[int]]:
    """A slot for each number in the order of reading, and for each slot the first number that fills it.

    Numbers share a slot if they are equal at several ages, learning rates and decisions: by formula, not by chance.
    """
    found: dict[tuple[float, ...], int] = {}
    told = zip(*(numbers(rule, reading, dtype, *age) for age in AGES), strict=True)
    slots = [found.setdefault(values, len(found)) for values in told]
    return slots, [slots.index(slot) for slot in range(len(found))]
