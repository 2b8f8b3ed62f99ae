"""Polyak's step sizes: as far as the loss lies above its lower bound, by the slope along the direction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, over
from ..core.memory import Memory, numbers
from ..core.part import Step


@dataclass(frozen=True)
class _Share(Step, Chooser):
    """What Polyak's steps have in common: they go a share of lr, and hear the loss.

    <u, d(u)>, summed over all layers, is the slope: N'(u)^2 in a preconditioner's norm, N'(u) in a ball's.
    """

    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    of_output: ClassVar[bool] = True
    hears: ClassVar[bool] = True

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`loss`, as it was heard, and `share`, 0 as long as none was: with delay=1 the first step stands still."""
        return numbers({"loss": 0.0, "share": 0.0}, device)

    def scale(self, mem: Memory) -> Field | float:
        """The share."""
        return mem.share


def slope(aim: Aim, x: Field | None = None) -> Tensor:
    """<x, d(x)> of x, or of what the metric will be asked: [tensors, 1]."""
    x = aim.u if x is None else x
    assert x is not None
    return aim.align(x, [x])


@dataclass(frozen=True)
class _Gap(_Share):
    """Those that need the slope and no more; c, lb and eps as in `Polyak`."""

    c: float = 1.0
    lb: float = 0.0
    eps: float = 0.0

    def __post_init__(self) -> None:
        if not (self.c > 0.0 and self.eps >= 0.0 and math.isfinite(self.lb)):
            raise ValueError(f"Invalid {self}: c > 0, eps >= 0, and lb, the least that the loss can be, is a number.")

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<u, d(u)>, and what a full step of lr would win."""
        steep = slope(aim)
        return torch.cat([steep, steep * aim.lr], -1)

    def found(self, measured: Tensor, mem: Memory, more: Tensor | float = 0.0) -> Tensor:
        """((loss - lb)_+ / c + more)_+ / (<u, d(u)> + eps), in units of lr."""
        steep, full = measured[..., 0], measured[..., 1]
        wanted = (mem.loss - self.lb).clamp(min=0.0) / self.c + more
        return over(wanted.clamp(min=0.0), full + over(full, steep) * self.eps)


@final
@dataclass(frozen=True)
class Polyak(_Gap):
    """As far as the linear model needs to fall to the lower bound, and no further than lr (SPS_max, ALI-G, ALR-SMAG).

        size = min(lr, (f - lb)_+ / c / (<u, d(u)> + eps))

    <u, d(u)>, summed over all layers, is N'(u)^2 for a preconditioner, such as norm(u)^2 for Euclid(), and N'(u) for a
    ball, where lr bounds a length. Groups of different lr share one factor. f is the loss of the batch, which must be
    able to come near lb. maximize: f is what falls, minus the loss, and -lb the most that the loss can be. Memory:
    `loss`, `share`, once. Units: lr as for Constant(). f = loss scaled by a: the same steps as long as lr does not
    bind. One device: two would each go as far as the loss allows, and are refused. Reference: Loizou et al., arXiv
    2002.10542; Berrada et al., arXiv 1906.05661.

    >>> print(Polyak(0.5))
    Polyak(0.5)
    """

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """share <- min(1, found)."""
        mem.share.copy_(self.found(measured, mem).clamp(max=1.0))


@final
@dataclass(frozen=True)
class SmoothPolyak(_Gap):
    """Polyak's step size, at most `growth` times the last one: the cap learns (SPS with smoothing).

        size_n = min(growth size_{n-1}, (f - lb)_+ / c / (<u, d(u)> + eps)),   size_0 = lr

    lr is where it starts, and a schedule of lr scales all sizes. growth: 2^(1 / batches of an epoch) as published. A
    size of 0, where the loss is at lb, is not the last one: it would stay 0 for ever. Memory: `cap` (the last size in
    units of lr) and that of `Polyak`; units as there. Reference: Loizou et al., arXiv 2002.10542, and the public code.

    >>> print(SmoothPolyak(0.5, growth=2.0))
    SmoothPolyak(0.5, growth=2.0)
    """

    growth: float = 2 ** (1 / 500)

    def __post_init__(self) -> None:
        _Gap.__post_init__(self)
        if not self.growth >= 1.0:
            raise ValueError(f"Invalid {self}: growth >= 1, since a cap that shrinks never recovers.")

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`cap`, besides."""
        return numbers({"loss": 0.0, "share": 0.0, "cap": 1.0}, device)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """share <- min(growth cap, found), cap <- share."""
        mem.share.copy_(torch.minimum(self.found(measured, mem), mem.cap * self.growth))
        mem.cap.copy_(torch.where(mem.share > 0, mem.share, mem.cap))


@final
@dataclass(frozen=True)
class MovingPolyak(_Gap):
    """Polyak's step size for weights that are still moving: the step that is best after the momentum (ALR-HB).

        size = min(lr, ((f - lb)_+ / c + mu <g, w - w_prev>)_+ / <u, d(u)>)

    For `Inertia(mu)`, with u the gradient. It minimises a bound on the distance to the solution after
    w - size d + mu (w - w_prev), and with mu = 0 it is `Polyak`. Memory: `last` (w_prev), like the parameter; `loss`,
    `share`, once. Units: as `Polyak`. Reference: Wang et al., arXiv 2305.12939; derived, consistent with its abstract.

    >>> print(MovingPolyak(mu=0.5))
    MovingPolyak(1.0, mu=0.5)
    """

    mu: float = 0.9

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Where the weights were before their last step."""
        return {"last": p.detach().clone()}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<u, d(u)>, what a full step of lr would win, and what the momentum undoes."""
        steep, undone = slope(aim), -aim.won(g, mem.last)
        assert aim.p is not None
        mem.last.copy_(aim.p)
        return torch.cat([steep, steep * aim.lr, undone], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """share <- min(1, found)."""
        mem.share.copy_(self.found(measured, mem, measured[..., 2] * self.mu).clamp(max=1.0))
