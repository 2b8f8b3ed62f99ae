"""NAMO: Muon's direction, Adam's step of norms; for a matrix or for each of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.part import Step
from ..core.rule import Rule
from ..metrics import MatchRMS, NewtonSchulz, Spectral
from ..metrics.polar import Polar
from ..steps import ColumnRatio, NormRatio
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class NAMO(Routed):
    """A Muon that slows down where its gradients disagree.

        v <- b v + (1 - b) norm(G)^2,   a = min(1, lr sqrt(1 - b^n) / (1 - mu^n) norm(u) / (sqrt(v) + eps))
        W <- (1 - a decay) W - a .2 sqrt(max(m, n)) polar(u)

    u is Muon's average. Equal gradients give a = lr without Nesterov's look ahead; with it (the official default) the
    correction overshoots at first: 1.95 lr, 1.46 lr, down to lr in thirty steps. The official code also holds a .2
    sqrt(max(m, n)) below 1, which no usual lr reaches. The rest has AdamW at the same lr. Reference: arXiv
    2602.17080 and its public code.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = NAMO(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        momentum: float = 0.95,
        beta2: float = 0.99,
        weight_decay: float = 0.1,
        *,
        nesterov: bool = True,
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = MatchRMS(Spectral(polar or NewtonSchulz()))
        numbers = {"momentum": momentum, "beta2": beta2, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor, the ratio's step."""
        if group["candidates"]:
            raise ValueError(f"{type(self).__name__} corrects the bias of one momentum, but got {group['candidates']}.")
        return self.rule_of(self.average(group), self.metric, group, step=self.ratio(group))

    def ratio(self, group: Group) -> Step:
        """One step length for each matrix."""
        return NormRatio(group["momentum"], group["beta2"])


class NAMOD(NAMO):
    """NAMO with a step length, and a decay, for each column of a matrix (NAMO-D).

        c_j = norm(u_j) / (sqrt(v_j) + eps), clamped to [near mean(c), mean(c) / near],   a_j as in NAMO

    near: .75 is the published code's; its GPT-2 recipe has .01. Reference: arXiv 2602.17080.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = NAMOD(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        momentum: float = 0.95,
        beta2: float = 0.99,
        weight_decay: float = 0.1,
        *,
        near: float = 0.75,
        **engine: Unpack[Engine],
    ) -> None:
        self.near = near
        super().__init__(params, lr, momentum, beta2, weight_decay, **engine)

    def ratio(self, group: Group) -> Step:
        """One step length for each column."""
        return ColumnRatio(group["momentum"], group["beta2"], near=self.near)
