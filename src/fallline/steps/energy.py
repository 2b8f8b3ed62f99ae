"""Steps from an energy that only falls, whatever lr is (AEGD). The loss need not: what is bounded is the way gone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, count, over
from ..core.memory import Memory, numbers
from ..core.part import Step
from .polyak import slope


@dataclass(frozen=True)
class _Energy(Step, Chooser):
    """What both have in common: the loss f + c > 0, and the energy of the first step."""

    c: float = 1.0
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    hears: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.c):
            raise ValueError(f"Invalid c: {self.c!r}; it is a number so large that loss + c stays above 0.")

    def root(self, mem: Memory) -> Tensor:
        """sqrt(f + c), 0 if that is not above 0."""
        return (mem.loss + self.c).clamp(min=0.0).sqrt()

    def begin(self, mem: Memory) -> None:
        """start <- sqrt(f_0 + c)."""
        mem.start.copy_(torch.where(mem.start > 0, mem.start, self.root(mem)))


@final
@dataclass(frozen=True)
class ElementEnergy(_Energy):
    """An energy of its own for every coordinate, which pays for the way it goes (AEGD, AEGDM).

        v = g / (2 sqrt(f + c)),   r <- r / (1 + 2 lr v^2),   size = 2 lr r,   r_0 = sqrt(f_0 + c)

    Filter and metric see v. r falls and stays positive for every lr; a long run ends where it is spent. f + c <= 0
    moves nothing: take a larger c. Elementwise, so for Euclid(). Memory: `r` (of r_0), like the parameter; `loss`,
    `start` (r_0), once. Units: lr as SGD's; while 2 lr v^2 << 1 a step is lr r / sqrt(f + c) g. Reference: Liu & Tian,
    arXiv 2010.05109 and 2203.12191.

    >>> print(ElementEnergy())
    ElementEnergy(1.0)
    """

    spends: ClassVar[bool] = False

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """All of the energy."""
        return {"r": torch.ones_like(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`loss`, as it was heard, and `start`."""
        return numbers({"loss": 0.0, "start": 0.0}, device)

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """r <- r / (1 + 2 lr v^2)."""
        paid = self.gradient(g, mem, t).square().mul(2 * lr).add(1.0)
        mem.r.copy_(mem.r / paid)

    def gradient(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """g / (2 sqrt(f + c))."""
        root = self.root(mem)
        return g.mul(over(torch.ones_like(root), 2 * root))

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """Nothing that matters: the loss is enough."""
        return count(g)[:, None]

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """start <- sqrt(f_0 + c)."""
        self.begin(mem)

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """2 lr r."""
        return mem.r.mul(mem.start * (2 * lr))


@final
@dataclass(frozen=True)
class Energy(_Energy):
    """One energy for all, which pays for the way in the metric's norm (AEPG).

        r <- r / (1 + lr <g, d(g)> / (2 (f + c))),    size = lr r / sqrt(f + c),    r_0 = sqrt(f_0 + c)

    With v = g / (2 sqrt(f + c)), A = D^-1 and u = g: r_+^2 - r^2 = -(r_+ - r)^2 - N(move)^2 / lr, so r falls for every
    lr, metric and loss. f + c <= 0 moves nothing. Memory: `loss`, `start` (r_0), `r` (of r_0), `factor`, once. Units:
    lr as for Constant(). Reference: Liu et al., arXiv 2310.06733; this form is derived.

    >>> print(Energy())
    Energy(1.0)
    """

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`loss`, as it was heard, `start`, `r`, and `factor`, what lr is multiplied by."""
        return numbers({"loss": 0.0, "start": 0.0, "r": 1.0, "factor": 0.0}, device)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """lr <g, d(g)>."""
        return slope(aim, g) * aim.lr

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """r, and factor <- r / sqrt(f + c)."""
        self.begin(mem)
        root = self.root(mem)
        mem.r.copy_(mem.r / (1 + over(measured[..., 0], 2 * root.square())))
        mem.factor.copy_(over(mem.r * mem.start, root))

    def scale(self, mem: Memory) -> Field | float:
        """The factor."""
        return mem.factor
