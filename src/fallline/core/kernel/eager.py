"""Programs in PyTorch: what the others are tested against, and who scouts where nothing can be compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..chunk import Fit
from .printed import Fields, Run
from .symbol import Program
from .table import FORMS, Items, width

SAID: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "lerp": lambda a, b, w, rest: rest * a + w * b,
    "neg": torch.neg,
    "sqrt": torch.sqrt,
    "sign": torch.sign,
    "abs": torch.abs,
    "reciprocal": torch.reciprocal,
    "maximum": torch.maximum,
}


class Eager:
    """Programs one operation at a time, on the coordinates of all items side by side.

    most: the share of the coordinates up to which that is worth its copies.
    """

    def __init__(self, most: float = 0.5) -> None:
        self.most = most

    def bind(self, program: Program, fields: Fields, items: Items) -> Run | None:
        """The program over these tensors; None for more than a sample of them, or on an accelerator."""
        if fields.device.type != "cpu":
            return None  # it would wait, to know how long its lists are
        everything = sum(p.numel() for p in fields.columns["p"])
        return Interpreted(program, fields, items) if items.size <= self.most * everything else None


class Interpreted:
    """A program over the tensors of a chunk, interpreted."""

    numberless = False

    def __init__(self, program: Program, fields: Fields, items: Items) -> None:
        self.program, self.fields, self.items = program, fields, items
        self.sums = torch.zeros(len(items.given), len(program.sums), dtype=torch.float64)

    def __call__(self, numbers: Tensor, fit: Fit) -> Tensor:
        """Gather, compute, scatter."""
        table = numbers.to(self.program.dtype)
        rows = table[self.rows] if width(numbers) else table.expand(len(self.rows), -1)
        found: list[Tensor] = []
        for name, *operands in self.program.ops:
            found.append(self._operation(name, operands, found, rows))
        for column, ref in self.program.stores:
            self._scatter(column, found[ref], fit)
        for k, ref in enumerate(self.program.sums):
            self.sums[:, k] = self._sums(found[ref])
        return self.sums

    def _operation(self, name: str, operands: list[Any], found: list[Tensor], rows: Tensor) -> Tensor:
        if name == "load":
            return torch.cat([x.reshape(-1) for x in self._views(operands[0])]).to(self.program.dtype)
        if name == "number":
            return rows[:, operands[0] * 3 + FORMS.index(operands[1])].repeat_interleave(self.sizes)
        if name == "cast":
            return found[operands[0]].to(operands[1]).to(self.program.dtype)
        return SAID[name](*(found[ref] for ref in operands))

    @cached_property
    def rows(self) -> Tensor:
        """The tensor of every item."""
        return self.items.table[:, 0]

    @cached_property
    def sizes(self) -> Tensor:
        """Coordinates of every item."""
        return self.items.table[:, 3] * self.items.table[:, 5]

    def _views(self, column: int) -> list[Tensor]:
        """The coordinates of every item in a column, [runs, run]."""
        name, _, sampled = self.program.columns[column]
        held = self.fields.columns[name]
        return [
            _view(held[row], start, at, run, stride, n, sampled) for row, start, at, run, stride, n in self.items.given
        ]

    def _scatter(self, column: int, x: Tensor, fit: Fit) -> None:
        for view, new in zip(self._views(column), x.split(self.sizes.tolist()), strict=True):
            fresh = new.reshape(view.shape).to(view.dtype)
            view.copy_(torch.where(fit, fresh, view) if isinstance(fit, Tensor) else fresh)

    def _sums(self, x: Tensor) -> Tensor:
        return torch.stack([part.double().sum() for part in x.split(self.sizes.tolist())])


def _view(x: Tensor, start: int, at: int, run: int, stride: int, runs: int, sampled: bool) -> Tensor:
    first, step = (at, run) if sampled else (start, stride)
    return x.detach().as_strided((runs, run), (step, 1), x.storage_offset() + first)
