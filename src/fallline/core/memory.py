"""What parts remember: allocated, named and shared by the engine, used by the parts.

In `optimizer.state[p]` everything is flat: `step` and `slot.name` (`filter.m`, `metric.v`), tensors only. A part sees
its own slot as a `Memory`, whose attributes are fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .border import near
from .field import Field, tensors_of

State = dict[str, Any]


class Memory:
    """The fields that one part remembers, by name: `mem.m`, or `mem["m0"]` where the name is computed."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, Field]) -> None:
        self._fields = fields

    def __getattr__(self, name: str) -> Field:
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(f"this part remembers {sorted(self._fields)}, not {name!r}") from None

    __getitem__ = __getattr__

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields.values())

    def map(self, f: Callable[[Field], Field]) -> Memory:
        """The same memory seen through f, which must return views if the part is to write."""
        return Memory({name: f(x) for name, x in self._fields.items()})

    def within(self, place: str) -> Memory:
        """What one of several parts in the same slot remembers: `place.name` by its `name`."""
        held = {name.removeprefix(f"{place}."): x for name, x in self._fields.items() if name.startswith(f"{place}.")}
        return Memory(held)

    def first(self) -> Memory:
        """The memory of the first tensor of each field."""
        return Memory({name: tensors_of(x)[0] for name, x in self._fields.items()})


def number(value: float, device: torch.device) -> Tensor:
    """A number that is remembered once, whatever the parameter's dtype: 0-d float64."""
    return torch.full((), value, dtype=torch.float64, device=device)


def numbers(first: dict[str, float], device: torch.device) -> dict[str, Tensor]:
    """Several of them, by name."""
    return {name: number(value, device) for name, value in first.items()}


def real(x: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers, a number as a vector of one, anything else as it is; always a view.

    Numbers become vectors because a 0-d float32 tensor times a 0-d float64 coefficient would be float64.
    """
    x = torch.view_as_real(x.resolve_conj()) if x.is_complex() else x
    return x.reshape(1) if x.dim() == 0 else x


@lru_cache(maxsize=64)
def wider(a: torch.dtype, b: torch.dtype) -> torch.dtype:
    """The narrowest dtype that holds both; looked up, since torch answers it with an operation."""
    return torch.promote_types(a, b)


def allocate(p: Tensor, memories: dict[str, dict[str, Tensor]]) -> State:
    """Flat state of a new parameter: its clock and everything that the parts of its rule remember of it."""
    flat = {f"{slot}.{name}": x for slot, memory in memories.items() for name, x in memory.items()}
    return {"step": torch.zeros((), dtype=torch.float32, device=p.device), **flat}


def share(states: list[State], slot: str, names: list[str]) -> None:
    """Let all parameters of one scope hold the very same tensors.

    Newcomers join the decision of those who have taken most steps; where loaded copies disagree the first one wins.
    """
    eldest = max(states, key=lambda state: float(state["step"]))
    for state in states:
        for name in names:
            state[f"{slot}.{name}"] = eldest[f"{slot}.{name}"]


@contextmanager
def kept_unless(ok: bool | Tensor, written: Callable[[], list[Tensor]]) -> Iterator[None]:
    """Let the body write to what `written` names; if `ok` is false on the device, put it back; the host never asks."""
    if not isinstance(ok, Tensor):
        yield
        return
    tensors = written()
    before = [x.clone() for x in tensors]
    yield
    for x, old in zip(tensors, before, strict=True):
        x.copy_(torch.where(ok.to(x.device), x, old))


def nbytes(states: list[State]) -> dict[str, int]:
    """Bytes remembered here in each slot, `step` with the clocks; a tensor that many parameters share counts once."""
    tensors = {id(x): (key, near(x)) for entry in states for key, x in entry.items() if isinstance(x, Tensor)}
    told: dict[str, int] = {}
    for key, x in tensors.values():
        slot = key.partition(".")[0]
        told[slot] = told.get(slot, 0) + x.numel() * x.element_size()
    return told
