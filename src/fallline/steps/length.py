"""Step sizes from the dual norm of the gradient: its sum over time, a power of it, and the model that it makes.

They ask for N'(g), whatever the metric: direction(g) has length N'(g) in a preconditioner's norm and 1 in a ball's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser, check_scope, check_start
from ..core.field import Field, over
from ..core.memory import Memory, number, numbers
from ..core.part import Ball, Metric, Preconditioner, Step
from .polyak import slope


@dataclass(frozen=True)
class _Dual(Step, Chooser):
    """What these steps have in common: those of a kind, preconditioners or balls, decide together."""

    measures: ClassVar[bool] = True

    def circle(self, metric: Metric) -> type[Metric]:
        """All linear metrics, or all others."""
        return Preconditioner if metric.linear else Ball

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`factor`, what lr is multiplied by."""
        return {"factor": number(0.0, device)}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """The slope, for `dual`: of the gradient, or of what the metric will be asked where they measure that."""
        return columns(aim, aim.u if self.of_output else g)

    def scale(self, mem: Memory) -> Field | float:
        """The factor."""
        return mem.factor


def columns(aim: Aim, x: Field | None) -> Tensor:
    """<x, d(x)>, and again if the metric is linear: [tensors, 2]."""
    a = slope(aim, x)
    return torch.cat([a, a if aim.metric.linear else torch.zeros_like(a)], -1)


def dual(measured: Tensor) -> tuple[Tensor, Tensor]:
    """N'^2, and what a direction must be multiplied by to have the length N'."""
    a, linear = measured[..., 0], measured[..., 1] > 0
    return torch.where(linear, a, a.square()), torch.where(linear, torch.ones_like(a), a)


@final
@dataclass(frozen=True)
class NormSum(_Dual):
    """The longer the way that the gradients have gone, the shorter the step (AdaGrad-norm), for all or for each.

        v_n^2 = v_{n-1}^2 + N'(g_n)^2          size = lr / v_n, times N'(g_n) for a ball

    Loss times a: the same steps, once v_0 = start is forgotten. Memory: `sum` (v^2), `factor`, once or for each
    parameter. Units: the first step has length lr. For matrices with a bound and a floor: `AdaGradNorm`. Reference:
    Ward et al., arXiv 1806.01811.

    >>> print(NormSum())
    NormSum(1e-06)
    """

    start: float = 1e-6
    scope: str = "global"

    def __post_init__(self) -> None:
        check_scope(self.scope)
        check_start(self.start, "v_0 > 0, small beside a gradient's norm")

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """v_0^2."""
        return numbers({"factor": 0.0, "sum": self.start**2}, device)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """v^2 <- v^2 + N'^2, factor <- 1 / v."""
        square, stretch = dual(measured)
        mem.sum.add_(square)
        mem.factor.copy_(stretch / mem.sum.sqrt())


@final
@dataclass(frozen=True)
class NormPower(_Dual):
    """Steps that grow less than the gradient does (beta-normalised): gradient descent at 0, normalised at 1.

        size = lr / N'(u)^beta, times N'(u) for a ball: a step of length lr N'(u)^(1 - beta)

    beta in [0, 1] fits a loss whose curvature is bounded by |g|^beta. u is what the metric is asked. Memory: `factor`,
    once or for each parameter. Units: lr is length^(2 - beta) per unit of loss^(1 - beta). Reference: generalised
    smoothness, Chen et al., arXiv 2303.02854 (the rule; constants not checked).

    >>> print(NormPower(0.5))
    NormPower(0.5)
    """

    beta: float = 1.0
    scope: str = "global"
    of_output: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_scope(self.scope)
        if not 0.0 <= self.beta <= 1.0:
            raise ValueError(f"Invalid beta: {self.beta!r}; it lies in [0, 1].")

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """factor <- N'^-beta."""
        square, stretch = dual(measured)
        mem.factor.copy_(over(stretch, square.where(square > 0, 0.0) ** (self.beta / 2)))


@final
@dataclass(frozen=True)
class QuadraticModel(_Dual):
    """Newton's step with the metric as curvature, shortened to where the model reaches the lower bound (SANIA).

        n = N'(u)^2,   size = lr (1 - sqrt(1 - 2 (f - lb)_+ / n)) if 2 (f - lb) <= n else lr     (ball: times N'(u))

    The root solves f - s n + s^2 n / 2 = lb. For f << n it is `Polyak`. Scaled with its unit the metric must be, as
    `SquareMoment`, for steps that do not see it. Memory: `loss`, `factor`, once. Units: lr is a factor around 1.
    Reference: Abdukhakimov et al., arXiv 2312.17369.

    >>> print(QuadraticModel())
    QuadraticModel(0.0)
    """

    lb: float = 0.0
    scope: ClassVar[str] = "global"
    of_output: ClassVar[bool] = True
    hears: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.lb):
            raise ValueError(f"Invalid lb: {self.lb!r}; the least that the loss can be is a number.")

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`loss`, as it was heard, and `factor`."""
        return numbers({"factor": 0.0, "loss": 0.0}, device)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """The smaller root, written so that nothing cancels."""
        square, stretch = dual(measured)
        x = over(2 * (mem.loss - self.lb).clamp(min=0.0), square).clamp(max=1.0)
        mem.factor.copy_(stretch * x / (1 + (1 - x).sqrt()))
