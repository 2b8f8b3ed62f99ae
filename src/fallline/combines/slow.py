"""Slow weights behind the fast ones: Lookahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.field import Field, lerp_
from ..core.memory import Memory
from ..core.part import Combine
from .average import check_inner
from .decay import Decoupled

PLAIN = Decoupled()


@final
@dataclass(frozen=True)
class SlowWeights(Combine):
    """Every `steps` steps the slow weights go a part of the way to the fast ones, which begin there anew (Lookahead).

        w_{n+1} = combine(w_n, -step d_n),    and if n is a multiple of k:   phi <- phi + alpha (w - phi),   w <- phi

    The parameters hold the fast weights w; `opt.eval()` lays phi into them, before step k the first weights. combine:
    how w moves. k >= 1; alpha in (0, 1], 1: the combine alone. What filter and metric remember is kept.
    Memory: `slow`, like the parameter, and the combine's. Reference: Zhang et al., arXiv 1907.08610.

    >>> import torch
    >>> w, part = torch.zeros(1), SlowWeights(2, 0.5)
    >>> mem = Memory(part.memory(w))
    >>> for n in (1.0, 2.0, 3.0): part.enter(w, torch.ones(1), 0.1, mem, torch.tensor(n))
    >>> w, mem.slow
    (tensor([2.]), tensor([1.]))
    """

    steps: int = 6
    alpha: float = 0.5
    combine: Combine = PLAIN
    ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.steps, int) and self.steps >= 1 and 0.0 < self.alpha <= 1.0):
            raise ValueError(f"Invalid {self}: it looks back after 1 or more steps, and alpha lies in (0, 1].")
        check_inner(self, self.combine, flat=True)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The slow weights, and what the combine remembers."""
        return {"slow": p.detach().clone(), **{f"combine.{name}": x for name, x in self.combine.memory(p).items()}}

    def gradient(self, g: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """The combine's."""
        return self.combine.gradient(g, p, mem.within("combine"), t)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """w <- combine(w, move); in every k-th step phi <- phi + alpha (w - phi), w <- phi."""
        self.combine.enter(p, move, size, mem.within("combine"), t)
        now = ((t / self.steps).floor() * self.steps == t).to(t.dtype)
        lerp_(mem.slow, p, now * self.alpha)
        lerp_(p, mem.slow, now)

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """phi."""
        return mem.slow
