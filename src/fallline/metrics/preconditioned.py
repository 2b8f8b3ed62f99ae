"""A norm in other coordinates: measured after the weights were multiplied from both sides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, cast, final

import torch
from torch import Tensor

from ..core.field import Field, count, each
from ..core.memory import Memory
from ..core.part import Ball


@final
@dataclass(frozen=True, eq=False)
class Preconditioned(Ball):
    """A ball seen through two fixed matrices: norm(W) = N(L W R), for N the norm of another ball.

        direction(G) = L^-1 d_N(L^-T G R^-T) R^-1,   dual(G) = N'(L^-T G R^-T)

    The one formula behind Shampoo, SOAP and intrinsic Muon, here with L and R given once and for all: invertible
    [m, m] and [n, n], or None for the identity. Memory: none. Units: those of N. Two of them are equal only if they
    are the same object. Reference: arXiv 2510.10777 (the operator form is derived, not copied from it).

    >>> from fallline import Frobenius
    >>> from fallline.core.memory import Memory
    >>> part = Preconditioned(Frobenius(), left=torch.diag(torch.tensor([1.0, 2.0])))
    >>> float(part.norm(torch.tensor([[3.0], [2.0]]), Memory({}), torch.tensor(1.0)))
    5.0
    """

    metric: Ball
    left: Tensor | None = None
    right: Tensor | None = None
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Ball):
            raise TypeError(f"Preconditioned needs a fixed norm (a Ball), such as Spectral(), but got {self.metric!r}.")

    def __str__(self) -> str:
        sides = [name for name in ("left", "right") if getattr(self, name) is not None]
        return f"Preconditioned({', '.join([str(self.metric), *sides])})"

    @cached_property
    def _inverses(self) -> tuple[Tensor | None, Tensor | None]:
        return _inverse(self.left), _inverse(self.right)

    def _back(self, x: Field, flip: bool) -> Field:
        return each(lambda one: _between(one, *self._inverses, flip), x)

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """L^-1 d_N(L^-T u R^-T) R^-1."""
        return self._back(self.metric.direction(self._back(u, True), mem, t), False)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """N(L w R)."""
        return self.metric.norm(each(lambda x: _between(x, self.left, self.right, False), w), mem, t)

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """N'(L^-T g R^-T)."""
        return self.metric.dual(self._back(g, True), mem, t)

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)


def _inverse(a: Tensor | None) -> Tensor | None:
    return None if a is None else cast(Tensor, torch.linalg.inv(a.double()))


def _between(x: Tensor, left: Tensor | None, right: Tensor | None, flip: bool) -> Tensor:
    """left x right, or left^T x right^T."""
    a, b = (None if y is None else (y.mT if flip else y).to(x) for y in (left, right))
    x = x if a is None else a @ x
    return x if b is None else x @ b
