"""View: how a weight is seen as matrices, rows the outputs and columns the inputs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, cast, final

import torch
from torch import Tensor

from .field import Bundle, Field, Shards, as_field, each, tensors_of


@final
@dataclass(frozen=True)
class View:
    """A weight as a stack `[..., m, n]`: m outputs, n inputs, and one matrix for each expert, head, gate or group.

    stack: how many leading axes count matrices (experts). groups: into how many equal parts the next axis is cut
    (heads, gates, q k v, groups of a convolution), or the parts' sizes where they differ. out: which of the axes from
    there on holds the outputs (1 for transposed convolutions, and for experts stored as [E, in, out]); all others are
    inputs, in their order.

    >>> View(groups=3).open(torch.zeros(12, 5)).shape, View(out=1).open(torch.zeros(2, 7, 3, 3)).shape
    (torch.Size([3, 4, 5]), torch.Size([7, 18]))
    """

    stack: int = 0
    groups: int | tuple[int, ...] = 1
    out: int = 0

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

    def fold(self, rows: Tensor) -> Tensor:
        """Numbers of stacks, one row each, summed to one row for each weight."""
        return rows.unflatten(0, (-1, self.pieces)).sum(1) if self.pieces > 1 else rows

    def example(self, dtype: torch.dtype, device: str | torch.device | None = None) -> Tensor:
        """A small weight that can be seen so, longer than wide."""
        parts = sum(self.groups) if isinstance(self.groups, tuple) else 64 * self.groups
        return torch.empty(*(2,) * self.stack, parts, 320, dtype=dtype, device=device)

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """Why a weight of this shape cannot be seen so."""
        if len(shape) < self.stack + 2 or self.out > len(shape) - self.stack - 1:
            return f"it has shape {shape}, which is no {'stack of matrices' if self.stack else 'matrix'}"
        n = shape[self.stack]
        fits = n == sum(self.groups) if isinstance(self.groups, tuple) else n % self.groups == 0
        return None if fits else f"its axis of length {n} does not fall into groups of {self.groups}"

    def _cut(self, x: Tensor) -> list[Tensor]:
        assert isinstance(self.groups, tuple)
        plain = View(self.stack, 1, self.out)
        return [plain._open(piece) for piece in x.split(self.groups, self.stack)]

    def _join(self, stacks: list[Tensor], shape: torch.Size) -> Tensor:
        if self.pieces == 1:
            return self._close(stacks[0], shape)
        plain = View(self.stack, 1, self.out)
        assert isinstance(self.groups, tuple)
        shapes = [(*shape[: self.stack], n, *shape[self.stack + 1 :]) for n in self.groups]
        return torch.cat([plain._close(y, torch.Size(s)) for y, s in zip(stacks, shapes, strict=True)], self.stack)

    def _open(self, x: Tensor) -> Tensor:
        if why := self.misfit(tuple(x.shape)):
            raise ValueError(f"A weight cannot be seen as {self}: {why}. Give it another role.")
        lead, shape = self._cut_shape(x.shape)
        x = x.reshape(shape)
        x = x.movedim(lead + self.out, lead) if self.out else x
        return x.flatten(lead + 1) if x.dim() > lead + 2 else x

    def _close(self, y: Tensor, shape: torch.Size) -> Tensor:
        lead, apart = self._cut_shape(shape)
        axes = list(apart)
        axes.insert(lead, axes.pop(lead + self.out))
        y = y.reshape(axes)
        return (y.movedim(lead, lead + self.out) if self.out else y).reshape(shape)

    def _cut_shape(self, shape: torch.Size) -> tuple[int, tuple[int, ...]]:
        """Leading axes that count matrices, and the shape with groups as an axis of their own."""
        if self.groups == 1:
            return self.stack, tuple(shape)
        assert isinstance(self.groups, int)
        head, n, tail = shape[: self.stack], shape[self.stack], shape[self.stack + 1 :]
        return self.stack + 1, (*head, self.groups, n // self.groups, *tail)


def _shapes(x: Field) -> list[torch.Size]:
    """Shapes of weights, whole ones where parts of them lie here."""
    return (
        [torch.Size(place.shape) for place in x.places] if isinstance(x, Shards) else [p.shape for p in tensors_of(x)]
    )


@lru_cache(maxsize=256)
def parse(text: str) -> View:
    """The view that prints as this text.

    >>> parse("groups=3 out=1"), parse("") == View()
    (View(stack=0, groups=3, out=1), True)
    """
    words = dict(word.split("=") for word in text.split())
    numbers: Any = {name: _number(value) for name, value in words.items()}
    return View(**numbers)


def _number(text: str) -> int | tuple[int, ...]:
    return tuple(int(n) for n in text[1:-1].split(",") if n) if text.startswith("(") else int(text)
