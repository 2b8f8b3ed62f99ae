"""Role: what a parameter is in its network, and how it is seen as matrices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, final

from torch import Tensor

from .view import View, parse

# Every kind of parameter, and whether its numbers form a matrix from inputs to outputs that a polar factor suits.
KINDS: dict[str, bool] = {
    "hidden": True,
    "conv": True,
    "expert": True,
    "attention": True,  # q, k and v in one weight
    "gate": True,  # of a recurrent layer
    "lora_a": False,
    "lora_b": False,
    "depthwise": False,
    "embedding": False,
    "position": False,
    "head": False,
    "tied": False,  # embedding and head in one
    "router": False,
    "gain": False,
    "bias": False,
    "other": False,
}


@final
@dataclass(frozen=True)
class Role:
    """What a parameter is: its kind, its view as matrices, and for LoRA's factors the pair that they belong to.

    It prints as the words that a checkpoint keeps, and `role_of(words)` reads them.

    >>> str(Role("attention", View(groups=3))), role_of("attention groups=3").matrix
    ('attention groups=3', True)
    """

    kind: str
    view: View = field(default_factory=View)
    pair: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Invalid role: {self.kind!r}; choose one of {', '.join(KINDS)}.")

    def __str__(self) -> str:
        pair = "" if self.pair is None else f"pair={self.pair}"
        return " ".join(word for word in (self.kind, str(self.view), pair) if word)

    @property
    def matrix(self) -> bool:
        """Whether optimizers for hidden matrices move it."""
        return KINDS[self.kind]


@lru_cache(maxsize=4096)
def role_of(text: str) -> Role:
    """The role that prints as this text."""
    kind, *words = text.split()
    pair = [int(word[5:]) for word in words if word.startswith("pair=")]
    return Role(kind, parse(" ".join(word for word in words if not word.startswith("pair="))), *pair[:1])


class Entry(NamedTuple):
    """One parameter of a table of roles."""

    name: str
    p: Tensor
    role: Role
    why: str


class Roles:
    """A table of roles: every parameter of a network, what it is, and why we think so."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = list(entries)
        self._known = {id(entry.p): entry for entry in self.entries}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def get(self, p: Tensor) -> Entry | None:
        """What is known of a parameter."""
        return self._known.get(id(p))
