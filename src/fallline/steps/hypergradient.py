"""A learning rate that descends on the loss itself: the baseline of the greedy idea."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, inner, over
from ..core.memory import Memory, number
from ..core.part import Step


@dataclass(frozen=True)
class _Hyper(Step, Chooser):
    """What both have in common: the last direction, and the factor on lr. kappa: the learning rate's learning rate."""

    kappa: float
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    of_output: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.kappa, (int, float)) and self.kappa >= 0.0):
            raise ValueError(f"Invalid hypergrad_lr: {self.kappa!r}; the learning rate's own is a number >= 0.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The direction of the last step."""
        return {"last": torch.zeros_like(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`factor`, what lr is multiplied by."""
        return {"factor": number(1.0, device)}

    def turn(self, mem: Memory, aim: Aim) -> None:
        """last <- the direction of this step."""
        assert aim.u is not None
        mem.last.copy_(aim.direction(aim.u))

    def scale(self, mem: Memory) -> Field | float:
        """The factor."""
        return mem.factor


@final
@dataclass(frozen=True)
class Hypergradient(_Hyper):
    """The learning rate takes gradient steps, too: up while the gradient agrees with the last direction.

        eta_n = eta_{n-1} + kappa <g_n, d_{n-1}>,    eta_0 = lr,    since  d f(w_n) / d eta_{n-1} = -<g_n, d_{n-1}>

    Kept as a factor on lr, so that a schedule multiplies; lr = 0 learns nothing. As published eta may fall below 0. The
    product is over all layers; the public code adds tensor by tensor. Memory: `last`, like the parameter; `factor`,
    once. Units: kappa is lr^2 per unit of loss. Reference: Baydin et al., arXiv 1703.04782.

    >>> print(Hypergradient(1e-6))
    Hypergradient(1e-06)
    """

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<g, d_last> / lr."""
        won = inner(g, mem.last)[:, None]
        self.turn(mem, aim)
        return over(won, torch.ones_like(won) * aim.lr)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """factor <- factor + kappa <g, d_last> / lr."""
        mem.factor.add_(measured[..., 0] * self.kappa)


@final
@dataclass(frozen=True)
class HypergradientRatio(_Hyper):
    """`Hypergradient` free of all units: eta_n = eta_{n-1} (1 + kappa cos(g_n, d_{n-1})).

    It stays above 0 for kappa < 1. Memory and reference: as there.

    >>> print(HypergradientRatio(1e-3))
    HypergradientRatio(0.001)
    """

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<g, d_last>, and both squared lengths."""
        told = torch.stack([inner(g, mem.last), inner(g, g), inner(mem.last, mem.last)], -1)
        self.turn(mem, aim)
        return told

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """factor <- factor (1 + kappa cosine)."""
        won, g, last = measured.unbind(-1)
        mem.factor.mul_(1 + over(won, (g * last).sqrt()) * self.kappa)
