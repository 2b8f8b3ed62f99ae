"""AdaGO: Muon's direction, AdaGrad-norm's step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..metrics import NewtonSchulz, Spectral, shaped
from ..metrics.polar import Polar
from ..steps import AdaGradNorm
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AdaGO(Routed):
    """A Muon that slows down as its gradients pile up.

        v^2 <- v^2 + min(norm(G), gamma)^2,   a = lr max(floor, min(norm(G), gamma) / v),   W <- W - a s(m, n) polar(m)

    m is the exponential average of G. The paper has no shape factor (which factor s, if any, is uncertain: there is no
    official code) and no decay; decay here follows the step, (1 - a decay) W. floor is in units of lr: .01 is the
    paper's 5e-4 at lr .05. Other libraries' AdaGO divides by v^2 without the root. Reference: arXiv 2509.02981.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = AdaGO(net, lr=0.05)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.05,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        gamma: float = 10.0,
        floor: float = 0.01,
        nesterov: bool = False,
        shape: str = "keller",
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = shaped(shape, Spectral(polar or NewtonSchulz()))
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | {"gamma": gamma, "floor": floor} | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor, AdaGrad-norm's step."""
        step = AdaGradNorm(group["gamma"], group["floor"])
        return self.rule_of(self.average(group), self.metric, group, step=step)
