"""Averages inside the optimizer: gradients between the weights that move and their average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, lerp, lerp_
from ..core.memory import Memory, number
from ..core.part import Combine
from .around import fades
from .average import check_inner
from .decay import Decoupled
from .weight import Sizes, Weights

PLAIN, SIZES = Decoupled(), Sizes()


@final
@dataclass(frozen=True)
class PrimalAverage(Combine):
    """No schedule and no horizon: steps move z, x is its average, and gradients are taken in between (schedule-free).

        y_n = (1 - b) z_n + b x_n        z_{n+1} = combine(z_n, -size (d_n + decay y_n))
        x_{n+1} = x_n + w_n / (sum_k w_k) (z_{n+1} - x_n)

    with d_n made of gradients at y_n, which the parameters hold; `opt.eval()` lays x into them. Memory: `z`, like the
    parameter; `b`, that of the present y, and what the weights w remember, once. x is solved from y and z, so narrow
    weights want write="kahan". b in (0, 1], 1: gradients at the average (primal averaging); of b -> 0 see
    `IterateAverage`. Reference: Defazio et al., arXiv 2405.15682.

    >>> y, t = torch.zeros(1), torch.tensor(1.0, dtype=torch.float64)
    >>> mem = Memory(PrimalAverage(0.9).memory(y))
    >>> PrimalAverage(0.9).enter(y, torch.ones(1), 1.0, mem, t); y, mem.z
    (tensor([1.]), tensor([1.]))
    """

    beta: float = 0.9
    decay: float = 0.0
    weights: Weights = SIZES
    combine: Combine = PLAIN
    ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.beta, (int, float)) and 0.0 < self.beta <= 1.0):
            raise ValueError(
                f"Invalid beta: {self.beta!r}; it lies in (0, 1]. At 0 take IterateAverage(weights=Sizes())."
            )
        if not self.decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {self.decay}")
        check_inner(self, self.combine, flat=True)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weights that move, where between them and the average y lies, and what the average's weights need."""
        inner = {f"combine.{name}": x for name, x in self.combine.memory(p).items()}
        return {"z": p.detach().clone(), "b": number(self.beta, p.device), **self.weights.memory(p), **inner}

    def gradient(self, g: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """The combine's, at y."""
        return self.combine.gradient(g, p, mem.within("combine"), t)

    def moved(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """z."""
        return mem.z

    def fade(self, p: Field, lr: float | Tensor, mem: Memory, t: Tensor) -> None:
        """The combine's, of z; x stays where it is."""
        if fades(self.combine):
            old = mem.z.mul(1.0)
            self.combine.fade(mem.z, lr, mem.within("combine"), t)
            p.add_((mem.z - old).mul(1 - mem.b))

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """z <- combine(z, move - size decay y), x <- x + c (z - x), y <- (1 - b) z + b x, without a copy of x."""
        c = self.weights.share(size, mem, t)
        kept = self.beta * (1 - c)  # of x in the new y; it is b_old in the present one
        move = move - p.mul(size).mul(self.decay) if self.decay else move
        old = mem.z.mul(1.0)
        lerp_(p, old, 1 - kept / mem.b)
        self.combine.enter(mem.z, move, size, mem.within("combine"), t)
        p.add_((move if self.combine == PLAIN else mem.z - old).mul(1 - kept))
        mem.b.copy_(torch.full_like(mem.b, self.beta))

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """x = z + (y - z) / b."""
        return lerp(mem.z, p, 1 / mem.b)
