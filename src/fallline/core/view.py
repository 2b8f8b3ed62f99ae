"""View: how a weight is seen as matrices, rows the outputs and columns the inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, cast, final

import torch
from torch import Tensor

from .field import Bundle, Field, Shards, as_field, each, many, tensors_of


@final
@dataclass(frozen=True)
class View:
    """A weight as a stack `[..., m, n]`: m outputs, n inputs, and one matrix for each expert, head, gate or group.

    stack: how many leading axes count matrices (experts). Axes are counted from behind them from here on.
    groups: into how many equal parts an axis is cut (heads, gates, q k v, groups of a convolution), or the parts' sizes
    where they differ. cut: which axis that is (1 for heads of an output projection, and for q k v stored as [in, out]).
    out: which axis holds the outputs (1 for transposed convolutions, and for what is stored as [in, out]); all others
    are inputs, in their order.

    >>> View(groups=3).open(torch.zeros(12, 5)).shape, View(out=1).open(torch.zeros(2, 7, 3, 3)).shape
    (torch.Size([3, 4, 5]), torch.Size([7, 18]))
    """

    stack: int = 0
    groups: int | tuple[int, ...] = 1
    out: int = 0
    cut: int = 0

    def __post_init__(self) -> None:
        parts = self.groups if isinstance(self.groups, tuple) else (self.groups,)
        if not parts or min(parts) < 1 or min(self.stack, self.out, self.cut) < 0:
            raise ValueError(f"Invalid view: {self}; groups are numbers from 1, and axes from 0.")

    def __str__(self) -> str:
        said = [f"{f.name}={getattr(self, f.name)}".replace(" ", "") for f in fields(self)]
        return " ".join(word for f, word in zip(fields(self), said, strict=True) if getattr(self, f.name) != f.default)

    @property
    def pieces(self) -> int:
        """Stacks that one weight becomes: more than one where its groups differ in size."""
        return len(self.groups) if isinstance(self.groups, tuple) else 1

    def open(self, x: Field) -> Field:
        """Every tensor as a stack, without copying where its memory allows it; groups that differ one after another."""
        if self.pieces == 1:
            return each(self._open, x)
        return cast(Tensor, Bundle(piece for one in tensors_of(x) for piece in self._cut(one)))

    def close(self, y: Field, like: Field) -> Field:
        """The stacks as weights again, shaped like those that were opened, or like the whole of these."""
        stacks = iter(tensors_of(y))
        return as_field([self._join([next(stacks) for _ in range(self.pieces)], shape) for shape in _shapes(like)])

    def spread(self, size: Field | float, d: Field, like: Field) -> Field | float:
        """Numbers for matrices or columns of the stacks d as a field like the weights; one for all stays one."""
        return self.close(each(lambda s, x: s.expand_as(x), size, d), like) if many(size) else size

    def fold(self, rows: Tensor) -> Tensor:
        """Numbers of stacks, one row each, summed to one row for each weight."""
        return rows.unflatten(0, (-1, self.pieces)).sum(1) if self.pieces > 1 else rows

    def shapes(self, shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
        """How many matrices a weight of this shape becomes, of which sizes m, n; one entry for each piece."""
        opened = [tuple(x.shape) for x in tensors_of(self.open(torch.empty(shape, device="meta")))]
        return [(math.prod(one[:-2]), one[-2], one[-1]) for one in opened]

    def example(self, dtype: torch.dtype, device: str | torch.device | None = None) -> Tensor:
        """A small weight that can be seen so, longer than wide."""
        parts = sum(self.groups) if isinstance(self.groups, tuple) else 64 * self.groups
        axes = [320, 320, *(2,) * (max(1, self.out, self.cut) - 1)]
        axes[self.cut] = parts
        return torch.empty(*(2,) * self.stack, *axes, dtype=dtype, device=device)

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """Why a weight of this shape cannot be seen so."""
        if len(shape) < self.stack + 2 or max(self.out, self.cut) > len(shape) - self.stack - 1:
            return f"it has shape {shape}, which is no {'stack of matrices' if self.stack else 'matrix'}"
        n = shape[self.stack + self.cut]
        fits = n == sum(self.groups) if isinstance(self.groups, tuple) else n % self.groups == 0
        return None if fits else f"its axis of length {n} does not fall into groups of {self.groups}"

    def _cut(self, x: Tensor) -> list[Tensor]:
        assert isinstance(self.groups, tuple)
        plain = View(self.stack, 1, self.out)
        return [plain._open(piece) for piece in x.split(self.groups, self.stack + self.cut)]

    def _join(self, stacks: list[Tensor], shape: torch.Size) -> Tensor:
        if self.pieces == 1:
            return self._close(stacks[0], shape)
        plain, at = View(self.stack, 1, self.out), self.stack + self.cut
        assert isinstance(self.groups, tuple)
        shapes = [torch.Size((*shape[:at], n, *shape[at + 1 :])) for n in self.groups]
        return torch.cat([plain._close(y, s) for y, s in zip(stacks, shapes, strict=True)], at)

    def _open(self, x: Tensor) -> Tensor:
        if why := self.misfit(tuple(x.shape)):
            raise ValueError(f"A weight cannot be seen as {self}: {why}. Give it another role.")
        lead, at = self.stack, self.stack + self.cut
        if self.groups != 1:
            x = x.unflatten(at, (self.groups, -1)).movedim(at, lead)
            lead += 1
        x = x.movedim(lead + self.out, lead) if self.out else x
        return x.flatten(lead + 1) if x.dim() > lead + 2 else x

    def _close(self, y: Tensor, shape: torch.Size) -> Tensor:
        at, lead = self.stack + self.cut, self.stack
        axes, groups = list(shape[lead:]), list[int]()
        if self.groups != 1:
            assert isinstance(self.groups, int)
            axes[self.cut] //= self.groups
            groups = [self.groups]
        axes.insert(0, axes.pop(self.out))
        y = y.reshape(*shape[:lead], *groups, *axes)
        y = y.movedim(lead + len(groups), lead + len(groups) + self.out) if self.out else y
        return y.movedim(lead, at).reshape(shape) if groups else y


def _shapes(x: Field) -> list[torch.Size]:
    """Shapes of weights, whole ones where parts of them lie here."""
    return (
        [torch.Size(place.shape) for place in x.places] if isinstance(x, Shards) else [p.shape for p in tensors_of(x)]
    )


@lru_cache(maxsize=256)
def parse(text: str) -> View:
    """The view that prints as this text.

    >>> parse("groups=3 out=1"), parse("") == View()
    (View(stack=0, groups=3, out=1, cut=0), True)
    """
    words = dict(word.split("=") for word in text.split())
    numbers: Any = {name: _number(value) for name, value in words.items()}
    return View(**numbers)


def _number(text: str) -> int | tuple[int, ...]:
    return tuple(int(n) for n in text[1:-1].split(",") if n) if text.startswith("(") else int(text)
