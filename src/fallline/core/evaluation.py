"""Evaluation: the weights that are trained, laid into the parameters where gradients are taken at others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .field import tensors_of
from .plan import WHOLE, make_plan

if TYPE_CHECKING:
    from .descent import Descent


class Evaluation:
    """Whether the parameters hold what is to be evaluated, and what they held before."""

    def __init__(self) -> None:
        self.live: list[tuple[Tensor, Tensor]] | None = None  # parameters and their copies; None while training

    @torch.no_grad()
    def begin(self, opt: Descent) -> None:
        """Put the live weights aside, and the trained ones into the parameters, rounded to the nearest."""
        sections = [section for section in opt._sections() if section.rule.combine.ahead]
        if self.live is not None or not sections:
            return
        opt._allocate(sections)
        self.live = []
        for chunk in make_plan(opt.param_groups, sections, opt.state, WHOLE, everyone=True).chunks:
            trained = chunk.rule.combine.settled(chunk.p, chunk.mem["combine"], chunk.t)
            for p, x in zip(tensors_of(chunk.p), tensors_of(trained), strict=True):
                self.live.append((p, p.clone()))
                p.copy_(x)
        opt._plan = None

    @torch.no_grad()
    def end(self) -> None:
        """Bring the live weights back."""
        for p, x in self.live or ():
            p.copy_(x)
        self.live = None

    def refuse(self, what: str) -> None:
        """Raise while the parameters hold other weights than those that gradients are taken at."""
        if self.live:
            raise RuntimeError(
                f"{what} while the parameters hold the weights to evaluate. Call opt.train() first, which brings back "
                "those that gradients are taken at."
            )
