"""Readings: what of a rule one pass over memory performs, and the program that this makes.

    look    are the gradients finite: sum of 0 g
    scout   remember and measure on a sample of the coordinates; what is kept of the others stays as it is
    first   remember and measure              second  apply
    whole   remember, measure and apply       walk    after a scout: observe and apply
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from ..field import Field, total
from ..memory import Memory, state_dtype
from ..rule import SIZE, Rule
from .symbol import Program, Reader, Writer

@dataclass(frozen=True, eq=False)
class Sight:
    """What a rule sees in one pass: fields from a tape, numbers as they are.

    fields: the flat keys of the state's fields; decided: its other entries.
    """

    rule: Rule
    tape: Writer | Reader
    fields: tuple[str, ...]
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
        return symbol  # type: ignore[no-any-return]

    def perform(self, reading: str) -> dict[str, Tensor]:
        """Run the rule, as far as this reading goes; what was measured, by slot."""
        g = self.load("g")
        if reading == "look":
            return {"look": total(g.mul(0.0))}
        rule, mem, p = self.rule, self.mem, self.load("p")
        g = rule.combine.gradient(g.neg() if self.maximize else g, p, mem["combine"], self.t)
        told: dict[str, Tensor] = {}
        if reading in ("scout", "first", "whole"):
            rule.remember(g, mem, self.t)
            told = rule.measure(g, mem, self.t)
        elif reading == "walk":
            rule.metric.observe(g, mem["metric"], self.t)
        if reading in ("whole", "walk", "second"):
            rule.apply(p, g, mem, self.t, self.lr)
        return told

    def answer(self) -> dict[str, Tensor]:
        """What is measured, once the tape knows the sums."""
        rule, mem = self.rule, self.mem
        g = rule.combine.gradient(self.load("g"), self.load("p"), mem["combine"], self.t)
        return rule.measure(g, mem, self.t)


@lru_cache(maxsize=1024)
def write(rule: Rule, reading: str, dtype: torch.dtype, maximize: bool) -> tuple[Program, list[int]]:
    """The program of a reading for weights of this dtype, and which numbers fill its slots."""
    plan, wide = rule.layout, state_dtype(dtype)
    columns = {"p": (dtype, False), "g": (dtype, False)} | {key: (wide, key in plan.sampled) for key in plan.fields}
    kept = set(columns) - plan.sampled if reading == "scout" else set()
    slots, places = _shared(rule, reading)
    tape = Writer(columns, wide, kept, slots)
    draw(rule, tape, maximize, *AGES[0]).perform(reading)
    return tape.program(), places


AGES = ((3.0, 0.37), (1.0, 0.61), (7.0, 0.53))  # steps and learning rates of stand-ins


def draw(rule: Rule, tape: Writer | Reader, maximize: bool, t: float, lr: float) -> Sight:
    """A sight of a step that never was: its decisions are drawn at random."""
    source = torch.Generator().manual_seed(int(t))
    state = rule.state(torch.empty(SIZE))
    drawn = {key: torch.rand(state[key].shape, generator=source, dtype=torch.float64) for key in rule.layout.numbers}
    return Sight(rule, tape, rule.layout.fields, drawn, *torch.tensor([t, lr], dtype=torch.float64).unbind(), maximize)


def numbers(rule: Rule, reading: str, t: float, lr: float) -> list[float]:
    """The numbers of a step that never was, in the order of reading."""
    nothing = torch.zeros(1, dtype=torch.float64)
    tape = Reader((nothing, nothing), [1 << 30], lambda _: nothing)
    draw(rule, tape, False, t, lr).perform(reading)
    return [float(x) for x in tape.numbers]  # type: ignore[arg-type]


def _shared(rule: Rule, reading: str) -> tuple[list[int], list[int]]:
    """A slot for each number in the order of reading, and for each slot the first number that fills it.

    Numbers share a slot if they are equal at several ages, learning rates and decisions: then by formula, not by chance.
    """
    found: dict[tuple[float, ...], int] = {}
    told = zip(*(numbers(rule, reading, *age) for age in AGES), strict=True)
    slots = [found.setdefault(values, len(found)) for values in told]
    return slots, [slots.index(slot) for slot in range(len(found))]
