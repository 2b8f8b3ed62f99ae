"""A step size that grows until the weights have left the place where they began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser, check_start
from ..core.field import Field, over
from ..core.memory import Memory, number
from ..core.part import Step


@final
@dataclass(frozen=True)
class EscapeVelocity(Step, Chooser):
    """A step size that doubles as long as the gradient keeps its direction: Prodigy without averages.

        eta_n = max(eta_{n-1}, <g_n, w_0 - w_n> / N'(g_n))

    N' is the dual norm of the metric, summed over all layers with such a step, measured on the filter's output; with
    Sign() it is norm_1. By Hoelder eta is at most N(w_n - w_0): on a line it runs start * (1, 1, 2, 4, 8, ...), and
    with delay=1, which uses eta_n in step n + 1, 1, 1, 1, 2, 3, 5, 8, ... It never shrinks. Memory: `begin`, like the
    parameter; `eta`, once. Units: start is a length of the metric's ball, and lr a factor that a schedule may move
    around 1. Reference: Bernstein & Newhouse, arXiv 2409.20325, on Prodigy, arXiv 2306.06101.

    >>> print(EscapeVelocity(1e-3))
    EscapeVelocity(0.001)
    """

    start: float = 1e-6
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    of_output: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_start(self.start, "a first step is a length > 0, and doubles from there")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Where the weights began."""
        return {"begin": p.detach().clone()}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`eta`."""
        return {"eta": number(self.start, device)}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<g, w_0 - w> and N'(g)."""
        return torch.cat([aim.won(g, mem.begin), aim.dual()], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """eta <- max(eta, <g, w_0 - w> / N'(g))."""
        won, dual = measured.unbind(-1)
        mem.eta.copy_(torch.maximum(mem.eta, over(won, dual)))

    def scale(self, mem: Memory) -> Field | float:
        """eta."""
        return mem.eta
