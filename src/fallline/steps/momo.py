"""Polyak's step for momentum: a model of the loss from all gradients of late, cut off at a lower bound (MoMo)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, inner, over
from ..core.memory import Memory, numbers
from ..core.part import Filter
from .polyak import _Share, slope


@dataclass(frozen=True)
class _Model(_Share):
    """The averaged model, as the step sees it. average must be the rule's filter, of gain 1."""

    average: Filter
    lb: float = 0.0
    decay: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.average, Filter):
            raise TypeError(f"A model needs the filter that averages gradients, such as EMA(), not {self.average!r}.")
        if not (math.isfinite(self.lb) and self.decay >= 0.0):
            raise ValueError(f"Invalid {self}: lb, the least that the loss can be, is a number, and decay >= 0.")

    @property
    def peer(self) -> Chooser:
        """Weights that decay and those that do not, such as biases, are parts of one model of one loss."""
        return replace(self, decay=0.0)

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """Besides loss and share: `floor`, the lower bound, `age`, and the averages of f and <g, w>."""
        pair = self.average.memory(torch.zeros(2, dtype=torch.float64, device=device))
        return numbers({"loss": 0.0, "share": 0.0, "age": 0.0, "floor": self.lb}, device) | pair

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<g, w>, <u, w>, lr <u, d(u)>, and the latter two of weights that decay."""
        assert aim.u is not None and aim.p is not None
        here, win = inner(aim.u, aim.p)[:, None], slope(aim) * aim.lr
        kept = 1 + aim.lr * self.decay
        return torch.cat([inner(g, aim.p)[:, None], here, win, here / kept, win / kept], -1)

    def past(self, measured: Tensor, mem: Memory) -> Tensor:
        """The average of f_k - <g_k, w_k>, k = 1 .. n."""
        mem.age.add_(1)
        t, seen = mem.age[..., None], torch.stack([mem.loss, measured[..., 0]], -1)
        self.average.remember(seen, mem, t)
        f, gw = self.average.output(seen, mem, t).unbind(-1)
        return f - gw

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr share, less for weights that decay."""
        return mem.share * lr / (1 + lr * self.decay)


@final
@dataclass(frozen=True)
class TruncatedModel(_Model):
    """A step on the average of the last losses' linear models, which are known not to fall below lb (MoMo).

        h = avg(f_k + <g_k, w - w_k>),    size = min(lr, (h - lb)_+ / <u, d(u)>),    u = avg(g_k)

    It is the minimum of max(h(w), lb) + N(w - w_n)^2 / (2 lr) for a preconditioner's norm N; a ball's norm takes lr as
    a bound on N(w - w_n). With `Proximal(decay)` decay must be given here, too: size = lr share / (1 + lr decay) then.
    Without memory it is `Polyak`, and while the model is far above lb it is Constant(). Memory: `loss`, `share`, `age`,
    `floor`, the averages of f and <g, w>, once. Units: lr as for Constant(). Reference: Schaipp et al., arXiv
    2305.07583, and its public code.

    >>> from fallline import EMA
    >>> print(TruncatedModel(EMA(0.9)))
    TruncatedModel(EMA(0.9))
    """

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """share <- min(1, (h - lb)_+ / (lr <u, d(u)>))."""
        gap = self.past(measured, mem) - mem.floor + measured[..., 3]
        mem.share.copy_(over(gap.clamp(min=0.0), measured[..., 4]).clamp(max=1.0))


@final
@dataclass(frozen=True)
class LearnedModel(_Model):
    """`TruncatedModel` whose lower bound rises to where the model says that convex losses cannot go (MoMo*).

        floor <- max(lb, h - size <u, d(u)> / 2) after each step; before it max(lb, h / 2) if h < floor

    lb is the least that is believed. Memory, units, reference: as `TruncatedModel`; for groups of different lr derived.

    >>> from fallline import EMA
    >>> print(LearnedModel(EMA(0.9), lb=-1.0))
    LearnedModel(EMA(0.9), lb=-1.0)
    """

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """floor down if it is too high, share, floor up."""
        _, here, win, shrunk, less = measured.unbind(-1)
        past = self.past(measured, mem)
        reset = ((past + shrunk) / 2).clamp(min=self.lb)
        floor = torch.where(past + shrunk < mem.floor, reset, mem.floor)
        mem.share.copy_(over((past + shrunk - floor).clamp(min=0.0), less).clamp(max=1.0))
        mem.floor.copy_((past + here - mem.share * win / 2).clamp(min=self.lb))
