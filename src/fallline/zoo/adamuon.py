"""AdaMuon: a second moment of every entry of the polar factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..maps import Chain, ElementMoment, Rms, Through
from ..metrics import NewtonSchulz, Sign, Spectral
from ..metrics.polar import Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AdaMuon(Routed):
    """The polar factor of the average's signs, every entry over its usual size, the whole at AdamW's size.

        O = polar(sgn(u)),   v <- b2 v + (1 - b2) O^2,   D = O / (sqrt(v) + eps)
        W <- (1 - lr decay) W - lr .2 D / rms(D)

    u is Muon's average; the official code has one b for both. b2 = 0 leaves .2 sgn(O), OLion's step.
    Other libraries' AdaMuon leaves out the signs; this is the official code's. Reference: Si et al., arXiv 2507.11005.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = AdaMuon(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.02,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.1,
        *,
        beta2: float = 0.95,
        nesterov: bool = True,
        rms: float = 0.2,
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = Spectral(polar or NewtonSchulz())
        numbers = {"momentum": momentum, "beta2": beta2, "weight_decay": weight_decay, "nesterov": nesterov, "rms": rms}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, signs, polar factor, second moment, size."""
        after = Chain(ElementMoment(group["beta2"]), Rms(group["rms"]))
        return self.rule_of(self.average(group), self.metric, group, before=Through(Sign()), after=after)
