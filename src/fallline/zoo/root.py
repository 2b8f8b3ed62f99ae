"""ROOT: outliers clamped, and Newton-Schulz fitted to the matrix's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..maps import Clamp
from ..metrics import Fitted, MatchRMS, Spectral
from ..metrics.polar import Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ROOT(Routed):
    """A Muon that outliers cannot turn.

        u = g + mu h,   e = quantile_q(|u|) + 1e-9
        W <- (1 - lr decay) W - lr .2 sqrt(max(m, n)) polar(clamp(u, -e, e))

    h <- mu h + g. One entry a million times too large takes nearly all of Newton-Schulz's input norm; clamped it counts
    like its neighbours. polar: published triples for four shapes, Keller's for all others. The paper's own listing has
    a fixed e and no look ahead; this is the official code's. quantile = 1 is Muon. Reference: arXiv 2511.20626.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = ROOT(net, lr=1e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.1,
        *,
        quantile: float = 0.9,
        nesterov: bool = True,
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = MatchRMS(Spectral(polar or Fitted()))
        numbers = {"momentum": momentum, "quantile": quantile, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Heavy ball, clamp, polar factor."""
        return self.rule_of(self.ball(group), self.metric, group, before=Clamp(group["quantile"]))
