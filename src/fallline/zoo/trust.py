"""Trust region: minimise the averaged linear model over a ball of fixed radius, in any norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.part import Metric
from ..core.rule import Rule
from ..filters import Primed
from ..metrics import NewtonSchulz, Sign, Spectral
from .choice import Momentum
from .routed import Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

SPECTRAL, SIGN = Spectral(NewtonSchulz()), Sign()


class TrustRegion(Routed):
    """Muon, normalised SGD and sign SGD as one algorithm: the best step of length lr in a norm, for an average.

        m_1 = g_1,  m <- b m + (1 - b) g,    w <- argmin <m, x> over N(x - w) <= lr   =   w - lr direction(m)

    metric: N of hidden matrices. rest: that of all other parameters; no Adam anywhere. Spectral: Muon without Nesterov;
    Frobenius: normalised SGD; Sign for both: sign SGD with momentum. The default's polar factor is Newton-Schulz's, so
    its steps are only about lr long; with Spectral(SVD()) exactly. weight_decay: beside the step, not part of the ball.
    lr and 1 - momentum belong together: in theory lr follows (1 - momentum)^1.5. Reference: Kovalev, arXiv 2503.12645.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = TrustRegion(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        momentum: Momentum = 0.9,
        weight_decay: float = 0.0,
        *,
        metric: Metric = SPECTRAL,
        rest: Metric = SIGN,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric, self.others = metric, rest
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": False}
        super().__init__(params, lr, numbers, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, norm of matrices."""
        return self._within(self.metric, group)

    def rest(self, group: Group) -> Rule:
        """Average, norm of all others."""
        return self._within(self.others, group)

    def _within(self, metric: Metric, group: Group) -> Rule:
        momentum = self.average(group) if group["candidates"] else Primed(group["momentum"])
        return self.rule_of(momentum, metric, group)
