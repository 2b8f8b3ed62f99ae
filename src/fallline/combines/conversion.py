"""Online learning as optimization: the learner plays steps, and gradients come from random points on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.dice import uniform
from ..core.field import Field, inner
from ..core.memory import Memory, number
from ..core.part import Combine
from ..core.turn import opening, pick

ENDLESS = float("inf")


@dataclass(frozen=True)
class _Conversion(Combine, Chooser):
    """What both conversions have in common: a step that is played, and a ball that it may have to stay in."""

    beta: float = 1.0
    radius: float = ENDLESS
    seed: int = 0
    ahead: ClassVar[bool] = True
    scope: ClassVar[str] = "global"
    across: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.beta <= 1.0:
            raise ValueError(f"Invalid beta: {self.beta!r}; what is kept of the last step lies in [0, 1].")
        if not (isinstance(self.radius, (int, float)) and self.radius > 0.0):
            raise ValueError(
                f"Invalid radius: {self.radius!r}; a step is at most a length > 0, or infinity for no limit."
            )

    @property
    def measures(self) -> bool:
        """Only where there is a ball."""
        return self.radius < ENDLESS

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`kept`: what the ball leaves of the step."""
        return {"kept": number(1.0, device)}

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """min(1, D / norm(step))."""
        mem.kept.copy_((self.radius / measured[..., 0].sqrt()).clamp(max=1.0))  # all is left of no step

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """x."""
        return mem.x


@final
@dataclass(frozen=True)
class Conversion(_Conversion):
    """Online-to-non-convex conversion (O2NC): the gradient at a random point of the step that is about to be taken.

        g_n at x_{n-1} + s_n D_n, s_n uniform in [0, 1],
        x_n = x_{n-1} + D_n,    D_{n+1} = proj(beta D_n - size d(g_n))

    proj: onto a ball of this radius, over all parameters. With beta < 1 and no ball, D is a heavy ball's step: SGD with
    momentum whose gradients are taken on the way. The parameters hold the random point, `opt.eval()` lays x into them;
    the theory's output, an average over a window, is left to others. s is a function of seed and step. Memory: `x`,
    `step` (D), like the parameter. Reference: Cutkosky, Mehta & Orabona, arXiv 2302.03775 (from a description).

    >>> print(Conversion(0.9))
    Conversion(0.9)
    """

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weights, and the step that is played."""
        return {"x": p.detach().clone(), "step": torch.zeros_like(p)}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """norm(beta D - lr d)^2."""
        step = mem.step.mul(self.beta) - aim.direction(g).mul(aim.lr)
        return inner(step, step)[:, None]

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """x <- x + D, D <- proj(beta D + move), p <- x + s D."""
        mem.x.add_(mem.step)
        mem.step.copy_((mem.step.mul(self.beta) + move).mul(mem.kept))
        p.copy_(mem.x + mem.step.mul(uniform(self.seed, t)))


@final
@dataclass(frozen=True)
class DoubleConversion(_Conversion):
    """`Conversion` with two gradients in a step: the second is a hint of the next first one (double optimism).

        first     g_n at x_{n-1} + s_n D_n,         x_n = x_{n-1} + D_n
        second    h_{n+1} at x_n + D_n / 2,         D_{n+1} = proj(beta D_n - size (h_{n+1} + g_n - h_n)),    h_1 = 0

    Without ball and beta the D_{n+1} are -size (sum_k g_k + h_{n+1}), optimistic gradient descent. For Identity() and
    Euclid(). The same batch may, but need not, be seen twice. Memory: `x`, `step`, `h`, like the parameter. Reference:
    arXiv 2510.03167 (its equations are written from memory and reviews, not checked against the paper).

    >>> print(DoubleConversion(radius=0.1))
    DoubleConversion(1.0, radius=0.1)
    """

    walks: ClassVar[int] = 2

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weights, the step that is played, and the hint; in between, what it was off by."""
        return {"x": p.detach().clone(), "step": torch.zeros_like(p), "h": torch.zeros_like(p)}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """norm(beta D - lr (h + g - h_n))^2."""
        step = mem.step.mul(self.beta) - (g + mem.h).mul(aim.lr)
        return inner(step, step)[:, None]

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """h_{n+1} + g_n - h_n, at the second."""
        first, hint = opening(t), u + mem.h
        mem.h.copy_(pick(first, u - mem.h, u))
        return hint

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """x <- x + D, p <- x + D / 2; then D <- proj(beta D + move), p <- x + s D."""
        first = opening(t)
        mem.x.copy_(pick(first, mem.x + mem.step, mem.x))
        mem.step.copy_(pick(first, mem.step, (mem.step.mul(self.beta) + move).mul(mem.kept)))
        p.copy_(mem.x + mem.step.mul(torch.where(first, 0.5, uniform(self.seed, t))))
