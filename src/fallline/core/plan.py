"""Plan: which parameters walk together, and which decide together.

Parameters of one group with equal device, dtype and history form a block; blocks are cut into chunks by a byte
budget, because on a CPU a whole-model foreach falls out of the cache and is slower than a plain loop. A plan holds
until a gradient appears or disappears, a rule changes or state is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .field import Field, as_field, tensors_of
from .memory import Memory, State, real, share
from .part import Chooser
from .rule import Rule, ours

CPU_BYTES = 256 * 1024
ACCELERATOR_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some parameters of one group that are updated as one field."""

    group: dict[str, Any]
    rule: Rule
    owners: list[Tensor]
    p: Field
    mem: dict[str, Memory]
    clock: Tensor

    @property
    def t(self) -> Tensor:
        """Steps that these parameters have taken, a 0-d float64 tensor on their device."""
        return self.clock.double()

    @property
    def lr(self) -> float | Tensor:
        """The group's learning rate, a number or a 0-d tensor."""
        lr: float | Tensor = self.group["lr"]
        return lr.reshape(()) if isinstance(lr, Tensor) else lr

    def gradient(self) -> Field:
        """p.grad as the rule sees it: real, in the state's dtype, of the loss that is to fall. Never written to."""
        g = as_field([real(_grad(p)).to(self.rule.computes_in(self.p.dtype)) for p in self.owners])
        g = g.neg() if self.group["maximize"] else g
        return self.rule.gradient(g, self.p, self.mem, self.t)

    def raw(self) -> Field:
        """p.grad as it is."""
        return as_field([real(_grad(p)) for p in self.owners])

    def tensors(self) -> list[Tensor]:
        """Everything that a step of this chunk writes to, decisions included."""
        remembered = (x for memory in self.mem.values() for field in memory for x in tensors_of(field))
        return [self.clock, *tensors_of(self.p), *remembered]


@dataclass(frozen=True, eq=False)
class Scope:
    """Who decides together: rows of measured numbers in, decisions out."""

    slot: str
    part: Chooser
    rows: list[State]
    chunks: list[Chunk]

    def decide(self, measured: Tensor) -> None:
        """measured [tensors, numbers]: one row for each parameter of the scope, in the order of the chunks."""
        told = measured.sum(0, keepdim=True) if len(self.rows) == 1 else measured
        names = self.part.decisions(torch.device("meta"))
        mem = {name: torch.stack([row[f"{self.slot}.{name}"] for row in self.rows]) for name in names}
        self.part.decide(told, Memory(mem))
        for name, stacked in mem.items():
            for row, value in zip(self.rows, stacked, strict=True):
                row[f"{self.slot}.{name}"].copy_(value)

    def tensors(self) -> list[Tensor]:
        """Everything that a decision writes to."""
        return [row[f"{self.slot}.{name}"] for row in self.rows for name in self.part.decisions(torch.device("meta"))]


@dataclass(frozen=True, eq=False)
class Plan:
    """Chunks in the order of the parameters, and the scopes that decide over them."""

    chunks: list[Chunk]
    scopes: list[Scope]

    @property
    def measures(self) -> bool:
        """Whether anything is to be decided."""
        return bool(self.scopes)


def trainable(group: dict[str, Any]) -> list[Tensor]:
    """The parameters of a group that have numbers to learn."""
    return [p for p in group["params"] if p.requires_grad and p.numel()]


def live(group: dict[str, Any]) -> list[Tensor]:
    """The parameters of a group that take part in this step."""
    return [p for p in trainable(group) if p.grad is not None]


def make_plan(
    groups: list[dict[str, Any]],
    rules: list[Rule],
    state: Any,
    budget: int | None,
    members: Callable[[dict[str, Any]], list[Tensor]] = live,
) -> Plan:
    """Plan a step of the groups' members; every parameter must have its state already."""
    _share_decisions(groups, rules, state)
    chunks = [
        _chunk(group, rule, part, state)
        for group, rule in zip(groups, rules, strict=True)
        for block in _blocks(members(group), rule, state)
        for part in _cut(block, 0 if group["foreach"] is False else budget)
    ]
    return Plan(chunks, list(_scopes(chunks, state)))


def _grad(p: Tensor) -> Tensor:
    assert p.grad is not None  # the plan is made anew when a gradient disappears
    return p.grad


def _blocks(params: list[Tensor], rule: Rule, state: Any) -> Iterable[list[Tensor]]:
    blocks: dict[Any, list[Tensor]] = {}
    for p in params:
        history = tuple(float(state[p][key]) for key in _numbers(rule, state[p]))
        blocks.setdefault((p.device, p.dtype, history), []).append(p)
    return blocks.values()


def _numbers(rule: Rule, state: State) -> list[str]:
    """Single numbers that move alike in all parameters of a block: the clock, an average's sum of taps."""
    apart = [key for slot, part in rule.choosers.items() for key in state if _decided(slot, part, key)]
    return [key for key in sorted(ours(state)) if state[key].dim() == 0 and key not in apart]


def _decided(slot: str, part: Chooser, key: str) -> bool:
    """Whether a state entry differs between parameters of equal history, or belongs to the whole scope."""
    name = key.removeprefix(f"{slot}.")
    return key.startswith(f"{slot}.") and (part.scope != "global" or name in part.decisions(torch.device("meta")))


def _cut(block: list[Tensor], budget: int | None) -> Iterator[list[Tensor]]:
    limit = (CPU_BYTES if block[0].device.type == "cpu" else ACCELERATOR_BYTES) if budget is None else budget
    part: list[Tensor] = []
    size = 0
    for p in block:
        size += p.numel() * p.element_size()
        if part and size > limit:
            yield part
            part, size = [], p.numel() * p.element_size()
        part.append(p)
    yield part


def _chunk(group: dict[str, Any], rule: Rule, owners: list[Tensor], state: Any) -> Chunk:
    states = [state[p] for p in owners]
    for key in _numbers(rule, states[0]):
        shared = states[0][key].clone()  # one clock for the chunk, not one for each parameter; others keep theirs
        for entry in states:
            entry[key] = shared
    mem = {slot: Memory(_fields(slot, states)) for slot in rule.parts}
    return Chunk(group, rule, owners, as_field([real(p.detach()) for p in owners]), mem, states[0]["step"])


def _fields(slot: str, states: list[State]) -> dict[str, Field]:
    names = [key.removeprefix(f"{slot}.") for key in states[0] if key.startswith(f"{slot}.")]
    return {name: _field([s[f"{slot}.{name}"] for s in states]) for name in names}


def _field(remembered: list[Tensor]) -> Field:
    """What all parameters share is one tensor, computed with once; what each has is a field."""
    shared = all(x is remembered[0] for x in remembered)
    return remembered[0] if shared else as_field(remembered)


def _together(slot: str, rule: Rule, p: Tensor) -> Any:
    part = rule.choosers[slot]
    return (slot, part, p.device, None if part.scope == "global" else id(p))


def _share_decisions(groups: list[dict[str, Any]], rules: list[Rule], state: Any) -> None:
    holders: dict[Any, list[State]] = {}
    for group, rule in zip(groups, rules, strict=True):
        for slot in rule.choosers:
            for p in group["params"]:
                if state.get(p):
                    holders.setdefault(_together(slot, rule, p), []).append(state[p])
    for (slot, part, *_), states in holders.items():
        share(states, slot, list(part.decisions(torch.device("meta"))))


def _scopes(chunks: list[Chunk], state: Any) -> Iterator[Scope]:
    found: dict[Any, list[Chunk]] = {}
    for chunk in chunks:
        for slot, part in chunk.rule.choosers.items():
            if part.measures:
                found.setdefault((slot, part, chunk.owners[0].device), []).append(chunk)
    for (slot, part, *_), members in found.items():
        owners = [p for chunk in members for p in chunk.owners]
        rows = owners[:1] if part.scope == "global" else owners
        yield Scope(slot, part, [state[p] for p in rows], members)
