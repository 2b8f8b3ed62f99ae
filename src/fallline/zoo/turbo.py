"""Turbo-Muon: a tighter start, and one step of Newton-Schulz less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..metrics import NewtonSchulz, Spectral, shaped
from ..metrics.polar import AOL, Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TurboMuon(Routed):
    """Muon whose matrices are scaled row by row until no singular value exceeds 1, and four steps from there.

        A = X X^T,  s_i = (sum_j |A_ij|)^(-1/2),   W <- (1 - lr decay) W - lr s(m, n) polar(diag(s) X)

    X is Muon's average, lying. The bound of almost orthogonal layers costs nothing but A, which the first step needs.
    It changes the target: cosine .9999 to Muon's for noise, .994 where rows span two decades; it is MuonEq's cousin.
    Reference: arXiv 2512.04632.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = TurboMuon(net, lr=0.01)
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
        self.metric = shaped(shape, Spectral(polar or NewtonSchulz("turbo", start=AOL())))
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, scaled polar factor."""
        return self.rule_of(self.average(group), self.metric, group)
