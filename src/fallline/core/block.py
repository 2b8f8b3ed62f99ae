"""Blocks: the parameters of one group that could walk together, and the chunks that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .border import near, shard, team
from .chooser import Chooser
from .chunk import Chunk
from .field import Field, as_field, shards
from .kernel import plain
from .memory import Memory, State, real
from .rule import Layout, Rule, ours
from .shard import Shard

CPU_BYTES = 256 * 1024
CPU_WHOLE_BYTES = 16 * 1024 * 1024  # of whole tensors: matrices of one shape are piled up, which needs them together
ACCELERATOR_BYTES = 256 * 1024 * 1024


def blocks(params: list[Tensor], rule: Rule, state: Any) -> Iterable[list[Tensor]]:
    """The parameters that could walk together, in the order in which the first of them come.

    All processes that hold parts of the same tensors must find the same blocks, since they sum over them together: how
    a part lies in memory has no say there.
    """
    found: dict[Any, list[Tensor]] = {}
    for p in params:
        history = tuple(float(state[p][key]) for key in _numbers(rule, state[p]))
        others = team(p)
        found.setdefault((p.device, p.dtype, others, plain(p) if others is None else None, history), []).append(p)
    return found.values()


def _numbers(rule: Rule, state: State) -> list[str]:
    """Single numbers that move alike in all parameters of a block: the clock, an average's sum of taps."""
    apart = [key for slot, part in rule.choosers.items() for key in state if _decided(slot, part, key)]
    return [key for key in sorted(ours(state)) if state[key].dim() == 0 and key not in apart]


def _decided(slot: str, part: Chooser, key: str) -> bool:
    """Whether a state entry differs between parameters of equal history, or belongs to the whole scope."""
    name = key.removeprefix(f"{slot}.")
    return key.startswith(f"{slot}.") and (part.scope != "global" or name in decided(part))


@lru_cache(maxsize=256)
def decided(part: Chooser) -> tuple[str, ...]:
    """What is remembered of a part's decisions, by name."""
    return tuple(part.decisions(torch.device("meta")))


def cut(block: list[Tensor], budget: int | None, whole: bool = False) -> Iterator[list[Tensor]]:
    """Pieces of a block of about so many bytes here; of whole tensors, so that all processes cut alike and gather in
    the same order.
    """
    here = CPU_WHOLE_BYTES if whole else CPU_BYTES
    limit = (here if block[0].device.type == "cpu" else ACCELERATOR_BYTES) if budget is None else budget
    part: list[Tensor] = []
    size = 0
    for p in block:
        more = (p if whole else near(p)).numel() * p.element_size()
        size += more
        if part and size > limit:
            yield part
            part, size = [], more
        part.append(p)
    yield part


def make_chunk(group: dict[str, Any], rule: Rule, owners: list[Tensor], state: Any) -> Chunk:
    """A chunk of these parameters, which share one clock from now on; of sharded ones, of what lies here."""
    states = [state[p] for p in owners]
    for key in _numbers(rule, states[0]):
        shared = states[0][key]  # one clock for the chunk, not one for each parameter; others keep theirs
        if not _alone(shared, key, states, state):
            shared = shared.clone()
        for entry in states:
            entry[key] = shared
    others = team(owners[0])
    places = [shard(p) for p in owners] if others else []
    layout = rule.layout(owners[0].dtype.to_real())
    mem = {slot: Memory(_fields(slot, rule, layout, states, places)) for slot in rule.parts}
    p = _field([real(near(p.detach())) for p in owners], places)
    return Chunk(group, rule, owners, p, mem, states[0]["step"], others)


def _alone(shared: Tensor, key: str, states: list[State], state: Any) -> bool:
    """Whether exactly these hold the tensor already: then it stays where it is, since a CUDA graph may write to it."""
    entries = (entry for entry in state.values() if isinstance(entry, dict))  # users keep things of their own there
    holders = sum(entry.get(key) is shared for entry in entries)
    return holders == len(states) and all(entry[key] is shared for entry in states)


def _fields(slot: str, rule: Rule, layout: Layout, states: list[State], places: list[Shard]) -> dict[str, Field]:
    """What a part remembers of all of them, by name."""
    keys = [key for key in states[0] if key.startswith(f"{slot}.")]
    return {
        key.removeprefix(f"{slot}."): _field([near(s[key]) for s in states], _places(rule, layout, key, places))
        for key in keys
    }


def _places(rule: Rule, layout: Layout, key: str, places: list[Shard]) -> list[Any]:
    """Where the numbers of a state's entry lie in the whole: those of a field or its sample; nowhere if all have it."""
    if not places or key not in layout.fields:
        return []
    slot, (_, sampled) = key.partition(".")[0], layout.fields[key]
    if not sampled or slot in rule.wholes or slot not in rule.choosers:
        return [] if sampled else places
    found = [rule.choosers[slot].runs(place.size) for place in places]
    return [place.sampled(runs) for place, runs in zip(places, found, strict=True) if runs]


def _field(tensors: list[Tensor], places: list[Any]) -> Field:
    """What all parameters share is one tensor, computed with once; what each has is a field."""
    if places:
        return shards(tensors, places)
    return tensors[0] if all(x is tensors[0] for x in tensors) else as_field(tensors)
