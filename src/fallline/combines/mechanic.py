"""An outer learner that finds the scale of whatever moves the weights: Mechanic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field, inner, over
from ..core.memory import Memory
from ..core.part import Combine
from .around import AroundCombine, fades
from .average import check_inner
from .decay import Decoupled

PLAIN = Decoupled()
BETAS = (0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)


@final
@dataclass(frozen=True)
class OuterScale(AroundCombine, Chooser):
    """One number scales the sum of all that the steps wanted; gamblers bet on it, with memories from short to long.

        u = combine(w, -size d) - w,    h = <D, g + lambda S norm(g) w / norm(w)>,    S = sum_i s_i,    w = w_0 + S D
        m_i <- max(b_i m_i, |h|),       v_i <- b_i^2 v_i + h^2,       r_i <- max(0, b_i r_i - s_i h)
        s_i <- (start m_i / k + r_i) / (sqrt(v_i) + eps),             D <- D + u,             w <- w_0 + S D

    h and norms over all parameters, with D as it was before this step, g and w at this step. S = 1: the combine alone.
    Memory: `begin` (w_0), `sum` (D), like the parameter, and the combine's; `s`, `m`, `v`, `r`, k numbers, once. m is 0
    at first (official code: 1e-6, and it takes w after the base's step). Units: the steps' lr is a factor around 1,
    whose size hardly matters. Reference: Cutkosky et al., arXiv 2306.00144.

    >>> print(OuterScale())
    OuterScale(1e-08)
    """

    start: float = 1e-8
    decay: float = 0.01
    betas: tuple[float, ...] = BETAS
    eps: float = 1e-8
    combine: Combine = PLAIN
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (self.start > 0.0 and self.decay >= 0.0 and self.eps > 0.0):
            raise ValueError(f"Invalid {self}: start and eps are > 0, and decay >= 0.")
        if not self.betas or not all(0.0 < b <= 1.0 for b in self.betas):
            raise ValueError(f"Invalid betas: {self.betas}; one or more memories in (0, 1].")
        check_inner(self, self.combine, flat=True)

    @property
    def peer(self) -> Chooser:
        """Weights that move in different ways are scaled by one number."""
        return replace(self, combine=PLAIN)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Where the weights began, what the steps sum up to, and what the combine remembers."""
        return {"begin": p.detach().clone(), "sum": torch.zeros_like(p), **self.held(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`s`, `m`, `v` and `r` of each gambler."""
        return {name: torch.zeros(len(self.betas), dtype=torch.float64, device=device) for name in ("s", "m", "v", "r")}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """<D, g>, <D, w>, and the squared norms of g and w."""
        assert aim.p is not None
        pairs = (mem.sum, g), (mem.sum, aim.p), (g, g), (aim.p, aim.p)
        return torch.stack([inner(a, b) for a, b in pairs], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """The gamblers' bets, from h."""
        won, pull, g2, w2 = measured[..., None].unbind(-2)
        b = torch.tensor(self.betas, dtype=measured.dtype, device=measured.device)
        total = mem.s.sum(-1, keepdim=True)
        h = won + pull * total * self.decay * over(g2, w2).sqrt()
        mem.m.copy_(torch.maximum(mem.m * b, h.abs()))
        mem.v.mul_(b**2).add_(h**2)
        mem.r.mul_(b).sub_(mem.s * h).clamp_(min=0.0)
        mem.s.copy_((mem.m * self.start / len(self.betas) + mem.r) / (mem.v.sqrt() + self.eps))

    def fade(self, p: Field, lr: float | Tensor, mem: Memory, t: Tensor) -> None:
        """The combine's, as a part of u."""
        if fades(self.combine):
            old = p.mul(1.0)
            self.combine.fade(p, lr, mem.within("combine"), t)
            mem.sum.add_(p - old)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """D <- D + (combine(w, move) - w), w <- w_0 + S D."""
        if self.combine != PLAIN:
            old = p.mul(1.0)
            self.combine.enter(p, move, size, mem.within("combine"), t)
            move = p - old
        mem.sum.add_(move)
        p.copy_(mem.begin + mem.sum.mul(mem.s.sum()))

    def scale(self, mem: Memory) -> Field | float:
        """S."""
        return mem.s.sum()
