"""Plan: which parameters walk together, and which decide together.

Parameters of one group with equal device, dtype and history form a block, which a kernel walks over as it is. Without
one blocks are cut into chunks by a byte budget, because on a CPU a whole-model foreach falls out of the cache. A plan
holds until a gradient appears or disappears, a rule changes or state is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .accord import circles, joint
from .block import blocks, cut, decided, make_chunk
from .border import dtensor
from .chooser import Chooser
from .chunk import Chunk
from .dial import Dial, dials
from .kernel import route
from .kernel.formula import Formula
from .kernel.record import Cut, Numbers
from .memory import Memory, State, share
from .rule import Rule
from .section import Section
from .survey import Ground, Survey, ground, survey

WHOLE = 1 << 62


@dataclass(eq=False)
class Scope:
    """Who decides together: rows of measured numbers in, decisions out."""

    slot: str
    part: Chooser
    rows: list[State]
    chunks: list[Chunk]
    formula: Formula | None = None

    def decide(self, measured: Tensor) -> None:
        """measured [tensors, numbers]: one row for each parameter of the scope, in the order of the chunks."""
        if len(self.rows) == 1:
            formula = self.formula or Formula(self.part, self._body, {"measured": measured.clone(), **self.alone})
            formula.given["measured"].copy_(measured)
            self.formula = formula
            formula()
            return
        mem = {name: torch.stack(held) for name, held in self.held.items()}
        self.part.decide(measured, Memory(mem))
        for name, held in self.held.items():
            for x, new in zip(held, mem[name], strict=True):
                x.copy_(new)

    def _body(self, given: Numbers, _: Cut) -> list[Tensor]:
        rows = {name: given[name][None] for name in self.held}  # what is written to them is written to the state
        self.part.decide(given["measured"].sum(0, keepdim=True), Memory(rows))
        return []

    @property
    def alone(self) -> dict[str, Tensor]:
        """The decisions of a single row."""
        return {name: held[0] for name, held in self.held.items()}

    @cached_property
    def held(self) -> dict[str, list[Tensor]]:
        """What is remembered of each decision, by name."""
        return {name: [row[f"{self.slot}.{name}"] for row in self.rows] for name in decided(self.part)}

    def tensors(self) -> list[Tensor]:
        """Everything that a decision writes to."""
        return [x for held in self.held.values() for x in held]


@dataclass(frozen=True, eq=False)
class Plan:
    """Chunks in the order of the parameters, the scopes that decide over them, and what it was made of."""

    chunks: list[Chunk]
    scopes: list[Scope]
    sections: list[Section]
    late: bool  # whether decisions act in the next step
    ground: Ground
    others: list[Any]  # process groups with which a step must be agreed on
    joint: bool  # whether that can be done in the all-reduce that sums what was measured
    dealt: list[Tensor]  # the parameters that are DTensors

    @property
    def measures(self) -> bool:
        """Whether anything is to be decided."""
        return bool(self.scopes)

    @cached_property
    def dials(self) -> list[Dial]:
        """Where the groups show what was chosen."""
        return dials(self.chunks)

    def gather(self, found: Survey) -> None:
        """Take up this step's gradients."""
        for chunk in self.chunks:
            chunk.gather(found.gradients, found.addresses)

    def release(self) -> None:
        """Let go of the gradients: until the next step their memory is somebody else's."""
        for chunk in self.chunks:
            chunk.gradients = []
            chunk.route.release()


def make_plan(
    groups: list[dict[str, Any]],
    sections: list[Section],
    state: Any,
    budget: int | None,
    late: bool = False,
    everyone: bool = False,
) -> Plan:
    """Plan a step of all live parameters, or a readable one of everyone; each must have its state already."""
    _share_decisions(sections, state)
    chunks = [
        chunk
        for section in sections
        for block in blocks(section.trainable if everyone else section.live, section.rule, state)
        for chunk in _chunks(section.group, section.rule, block, state, budget, None if everyone else late)
    ]
    seen = survey(groups)
    rank = {id(p): i for i, p in enumerate(seen.params)}
    for chunk in () if everyone else chunks:
        chunk.ranks = [rank[id(p)] for p in chunk.owners]
        chunk.straight = chunk.ranks == list(range(len(rank)))
    scopes, others = list(_scopes(chunks, state)), circles(groups, chunks)
    dealt = [p for chunk in chunks for p in chunk.owners if dtensor(p)]
    return Plan(chunks, scopes, sections, late, ground(seen, state), others, not late and joint(chunks), dealt)


def _chunks(
    group: dict[str, Any], rule: Rule, block: list[Tensor], state: Any, budget: int | None, late: bool | None
) -> Iterator[Chunk]:
    """The whole block where there is a kernel for it, else pieces that fit into the cache."""
    if late is not None and (made := route(make_chunk(group, rule, block, state), late)):
        yield made
    else:
        budget = 0 if group["foreach"] is False else budget
        for owners in [block] if rule.combine.together else cut(block, budget, bool(rule.wholes)):
            yield make_chunk(group, rule, owners, state)


def _together(slot: str, rule: Rule, p: Tensor) -> Any:
    part = rule.choosers[slot]
    return (slot, part.peer, part.circle(rule.metric), p.device, None if part.scope == "global" else id(p))


def _share_decisions(sections: list[Section], state: Any) -> None:
    holders: dict[Any, list[State]] = {}
    for section in sections:
        for slot in section.rule.choosers:
            for p in section.params:
                if state.get(p):
                    holders.setdefault(_together(slot, section.rule, p), []).append(state[p])
    for (slot, part, *_), states in holders.items():
        share(states, slot, list(decided(part)))


def _scopes(chunks: list[Chunk], state: Any) -> Iterator[Scope]:
    found: dict[Any, list[Chunk]] = {}
    for chunk in chunks:
        for slot, part in chunk.rule.choosers.items():
            if part.measures:
                at = slot, part.peer, part.circle(chunk.rule.metric), chunk.owners[0].device
                found.setdefault(at, []).append(chunk)
    for (slot, part, *_), members in found.items():
        owners = [p for chunk in members for p in chunk.owners]
        rows = owners[:1] if part.scope == "global" else owners
        yield Scope(slot, part, [state[p] for p in rows], members)
