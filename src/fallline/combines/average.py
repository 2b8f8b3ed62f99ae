"""Averages beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.chooser import Chooser
from ..core.field import Field, lerp_
from ..core.memory import Memory
from ..core.part import Combine
from .around import AroundCombine
from .decay import Decoupled
from .weight import Polynomial, Weights

PLAIN, LATE = Decoupled(), Polynomial()


@final
@dataclass(frozen=True)
class IterateAverage(AroundCombine):
    """Any way into the weights z, with an average x of them beside: it does not touch the training.

        z_{n+1} = combine(z_n, -step d_n)        x_{n+1} = x_n + w_n / (sum_k w_k) (z_{n+1} - x_n)

    The parameters hold z; `opt.eval()` lays x into them, to be evaluated and shipped. Of a manifold x lies inside.
    Memory: `x`, like the parameter, and what weights and combine remember.

    >>> import torch
    >>> z, part = torch.zeros(1), IterateAverage()
    >>> mem = Memory(part.memory(z))
    >>> for n in (1.0, 2.0): part.enter(z, torch.ones(1), 0.1, mem, torch.tensor(n))
    >>> z, mem.x
    (tensor([2.]), tensor([1.9000]))
    """

    combine: Combine = PLAIN
    weights: Weights = LATE
    ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_inner(self, self.combine)

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        """As the combine."""
        return self.combine.elementwise

    @property
    def matrix(self) -> bool:  # type: ignore[override]
        """As the combine."""
        return self.combine.matrix

    @property
    def together(self) -> bool:  # type: ignore[override]
        """As the combine."""
        return self.combine.together

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average, and what weights and combine remember."""
        return {"x": p.detach().clone(), **self.weights.memory(p), **self.held(p)}

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """The combine's."""
        return self.combine.tangent(u, p, mem.within("combine"), t)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """z <- combine(z, move), x <- x + c (z - x)."""
        self.combine.enter(p, move, size, mem.within("combine"), t)
        lerp_(mem.x, p, self.weights.share(size, mem, t))

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """x."""
        return mem.x


def check_inner(part: Combine, combine: Combine, flat: bool = False) -> None:
    """Raise unless weights that are averaged can move by this combine; flat: only where the average may, too."""
    name = type(part).__name__
    if not isinstance(combine, Combine) or combine.ahead or combine.walks > 1 or isinstance(combine, Chooser):
        raise ValueError(f"{name} cannot average weights that move by {combine}; take Decoupled(), say.")
    if flat and (not combine.elementwise or combine.matrix or type(combine).tangent is not Combine.tangent):
        raise ValueError(
            f"{name} takes gradients at an average, which does not lie where {combine} keeps the weights. Take "
            f"IterateAverage({combine}), an average beside them."
        )
