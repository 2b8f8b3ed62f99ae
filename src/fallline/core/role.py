"""Role: what a parameter is in its network, and how it is seen as matrices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple, final

from torch import Tensor

from .table import aligned
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
    """The role that prints as this text.

    >>> role_of("lora_a pair=3").pair
    3
    """
    kind, *words = text.split() or [""]
    pair = [word[5:] for word in words if word.startswith("pair=")]
    try:
        view = parse(" ".join(word for word in words if not word.startswith("pair=")))
        return Role(kind, view, *map(int, pair[:1]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"No role: {text!r}. {error} A role is a kind and a view, as 'attention groups=3'.") from error


class Entry(NamedTuple):
    """One parameter of a table of roles. Its tensor is not kept alive: hosts exchange it for shards."""

    name: str
    shape: tuple[int, ...]  # the whole parameter's, also where a part of it lies here
    role: Role
    why: str
    ref: Callable[[], Tensor | None]

    @property
    def p(self) -> Tensor | None:
        """The parameter, while somebody else holds it."""
        return self.ref()


class Roles:
    """A table of roles: every parameter of a network, what it is, and why we think so. It prints as a table.

    >>> import torch
    >>> from fallline import roles
    >>> net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> [str(entry.role) for entry in roles(net).set("2.*", "other")]
    ['hidden', 'bias', 'other', 'other']
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = list(entries)
        self._known = {id(p): entry for entry in self.entries if (p := entry.p) is not None}
        self._named = {entry.name: entry for entry in self.entries}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"Roles({', '.join(f'{n} {kind}' for kind, n in self.counts().items())})"

    def __str__(self) -> str:
        columns = ("parameter", "shape", "seen as", "role", "why")
        rows = ((e, seen(e.role.view, e.shape) if e.role.matrix else "") for e in self)
        return aligned(columns, [(e.name, sized(e.shape), matrices, e.role, e.why) for e, matrices in rows])

    def counts(self) -> dict[str, int]:
        """How many parameters are of each kind."""
        return dict(Counter(entry.role.kind for entry in self))

    def get(self, p: Tensor, name: str = "") -> Entry | None:
        """What is known of a parameter: by itself, or by its name where a host has put another tensor in its place."""
        entry = self._known.get(id(p))
        if entry and entry.p is p:
            return entry
        entry = self._named.get(plain(name))
        return entry if entry and entry.shape == shape_of(p) else None

    def set(self, where: str | Callable[[str, Tensor], bool], role: Role | str) -> Roles:
        """A new table, in which some parameters have the role that you say.

        where: a pattern of names, such as "blocks.*.qkv.weight", or a function of name and parameter. ValueError where
        nothing is meant, or where a weight cannot be seen as the role says.
        """
        role = role_of(role) if isinstance(role, str) else role
        meant = [entry.name for entry in self if _meant(where, entry)]
        if not meant:
            raise ValueError(f"No parameter is meant by {where!r}. Names are such as {[e.name for e in self][:3]}.")
        return Roles(_changed(entry, role) if entry.name in meant else entry for entry in self)


def _meant(where: str | Callable[[str, Tensor], bool], entry: Entry) -> bool:
    if isinstance(where, str):
        return fnmatchcase(entry.name, where)
    p = entry.p
    return p is not None and bool(where(entry.name, p))


def _changed(entry: Entry, role: Role) -> Entry:
    why = role.view.misfit(entry.shape) if role.matrix else None
    if why:
        raise ValueError(f"{entry.name!r} cannot be {str(role)!r}: {why}. Give it another role or view.")
    return entry._replace(role=role, why="you said so")


def shape_of(p: Tensor) -> tuple[int, ...]:
    """A parameter's shape, also where ZeRO has taken its numbers away; of a DTensor the whole one."""
    return tuple(getattr(p, "ds_shape", p.shape))


def plain(name: str) -> str:
    """A parameter's name without what wrappers add: DDP, torch.compile, FSDP and activation checkpoints.

    >>> plain("module._orig_mod.blocks.0._checkpoint_wrapped_module.up.weight")
    'blocks.0.up.weight'
    """
    words = name.split(".")
    words = words[1:] if words[0] == "module" and len(words) > 1 else words
    return ".".join(word for word in words if word not in WRAPPERS)


WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}


def sized(shape: Iterable[int]) -> str:
    """A shape in a table.

    >>> sized((3, 4)), sized(())
    ('3×4', '1')
    """
    return "×".join(map(str, shape)) or "1"


def seen(view: View, shape: tuple[int, ...]) -> str:
    """The matrices that a weight is seen as, such as "3 of 64×64"; nothing where it cannot be."""
    shapes = [] if view.misfit(shape) else view.shapes(shape)
    return " + ".join(f"{k} of {m}×{n}" if k > 1 else f"{m}×{n}" for k, m, n in shapes)
