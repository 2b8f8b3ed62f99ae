"""Muon: momentum, then the nearest orthogonal matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..metrics import Spectral, shaped
from ..metrics.polar import Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Muon(Routed):
    """The polar factor of an exponential average, for hidden matrices; AdamW for the rest.

        m <- b m + (1 - b) g,    u = (1 - b) g + b m,    W <- (1 - lr decay) W - lr s(m, n) polar(u)

    shape: s: "rms" (.2 sqrt(max(m, n)): an lr found with AdamW serves), "keller" (sqrt(max(1, m / n)), as published),
    or another of `metrics.FACTORS`. Reference: K. Jordan 2024; torch.optim.Muon; for "rms" Moonlight, arXiv 2502.16982.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Muon(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.1,
        *,
        nesterov: bool = True,
        shape: str = "rms",
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = shaped(shape, Spectral(polar) if polar else Spectral())
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor, decay."""
        return self.rule_of(self.average(group), self.metric, group)
