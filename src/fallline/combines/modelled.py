"""A step that failed, mended by a model of the loss along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, inner
from ..core.memory import Memory, numbers
from ..core.part import Combine
from ..core.turn import opening, pick


@final
@dataclass(frozen=True)
class Modelled(Combine, Chooser):
    """A trial step; where its size is then not 0, the minimiser of a model that knows both gradients (SMB).

        first    g at x,          then the weights go to x - size g
        second   y = g' - g,      x <- x - size (a g + b y)    for size > 0, else the trial stands
        q = |g| |y| + |g|^2 / eta,  r = q + <y, g>,  w = q^2 - |g|^2 |y|^2
        a = |g|^2 / r (1 + (q <y, g> + |g|^2 |y|^2) / w),  b = |g|^4 / w

    For each tensor by itself, as in the official code, whose c_g, c_s, c_y are these with s = -size g. The new step
    goes downhill and is no longer than the trial; for a linear loss it is eta of it. For Identity() and Euclid(). The
    same batch twice. Memory: `x`, `g`, like the parameter; `a`, `b` for each tensor. eta in (0, 1). Reference: Birbil
    et al., arXiv 2111.07058, and the official code.

    >>> print(Modelled())
    Modelled(0.99)
    """

    eta: float = 0.99
    walks: ClassVar[int] = 2
    scope: ClassVar[str] = "parameter"
    measures: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.eta < 1.0:
            raise ValueError(f"Invalid eta: {self.eta!r}; how much of the trial a linear loss leaves lies in (0, 1).")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weights and the first gradient, while the parameters are on trial."""
        return {"x": p.detach().clone(), "g": torch.zeros_like(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`a` and `b`."""
        return numbers({"a": 1.0, "b": 0.0}, device)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """|g|^2, <y, g>, |y|^2."""
        y = g - mem.g
        return torch.stack([inner(mem.g, mem.g), inner(y, mem.g), inner(y, y)], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """a and b of each tensor; where there is no gradient, no step."""
        gg, yg, yy = measured.unbind(-1)
        q = (gg * yy).sqrt() + gg / self.eta
        w = q.square() - gg * yy
        some = gg > 0
        mem.a.copy_(torch.where(some, gg / (q + yg) * (1 + (q * yg + gg * yy) / w), 0.0))
        mem.b.copy_(torch.where(some, gg.square() / w, 0.0))

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """g, then a g + b y."""
        first = opening(t)
        mem.g.copy_(pick(first, u, mem.g))
        return pick(first, u, mem.g.mul(mem.a) + (u - mem.g).mul(mem.b))

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- p + move; then p stays, or p <- x + move."""
        first = opening(t)
        mem.x.copy_(pick(first, p, mem.x))
        again = torch.as_tensor(size, device=t.device) > 0
        p.copy_(pick(first | again, mem.x + move, p))
