"""LMO-IGT: gradients taken ahead of the weights, so that their average is not stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Decoupled, Transport
from ..core.part import Metric
from ..core.rule import Rule
from ..filters import HeavyBall
from ..metrics import MatchRMS, NewtonSchulz, Spectral
from .choice import check_number
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

MUON = MatchRMS(Spectral(NewtonSchulz()))


class LMOIGT(Routed):
    """Muon with implicit gradient transport, for hidden matrices; AdamW, at the trained weights, for the rest.

        m <- b m + (1 - b) g(y) from m = g,   x <- (1 - lr decay) x - lr direction(m),   y = x + b / (1 - b) (x - x_old)

    The parameters hold y: call `opt.eval()` before you evaluate or save the model, and `opt.train()` before you go on.
    metric: whose direction. momentum: b, one number. Reference: arXiv 2605.05577; its listing was not read, this is
    NIGT's transport (Cutkosky & Mehta, arXiv 2002.03305) with a metric's direction.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = LMOIGT(net, lr=0.01)
    >>> opt.eval(); opt.train()
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        metric: Metric = MUON,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = metric
        numbers = {"momentum": check_number(momentum, "momentum value"), "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Heavy ball damped by b, direction, transport."""
        b = check_number(group["momentum"], "momentum value")
        transport = Transport(b, Decoupled(group["weight_decay"]))
        return self.rule_of(HeavyBall(b, dampening=b), self.metric, group, combine=transport)
