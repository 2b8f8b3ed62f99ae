"""OLion: the signs of the polar factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..maps import Chain, Rms, Through
from ..metrics import NewtonSchulz, Sign, Spectral
from ..metrics.polar import Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class OLion(Routed):
    """Signs of the polar factor: the best of the cube near the best of the spectral ball.

        W <- (1 - lr decay) W - lr .2 sgn(polar(u)) / rms(sgn(polar(u)))

    u is Muon's average. It is AdaMuon without signs before and with no memory (b = 0) after the polar factor.
    lr and decay are our choice, the operator is from a digest. Reference: arXiv 2602.01105.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = OLion(net, lr=1e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.1,
        *,
        nesterov: bool = True,
        rms: float = 0.2,
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = Spectral(polar or NewtonSchulz())
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov, "rms": rms}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor, signs."""
        after = Chain(Through(Sign()), Rms(group["rms"]))
        return self.rule_of(self.average(group), self.metric, group, after=after)
