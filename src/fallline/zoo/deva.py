"""DeVA: how much a momentum varies, apart from which way it points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Trailing
from ..core.rule import Rule
from ..filters import Late, QuasiHyperbolic
from ..metrics import MatchRMS, NewtonSchulz, Polar, Spectral, Varied
from ..steps import Wait
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

KELLER = NewtonSchulz()


class DeVA(Routed):
    """Muon's direction, its entries weighed by how the momentum varies in Shampoo's eigenbasis; AdamW for the rest.

        u = (1 - b) g + b m,    O = .2 sqrt(max(m, n)) Q_L^T polar(u) Q_R,    V <- b2 V + (1 - b2) S
        W <- (1 - lr decay) (W - lr Q_L [O sqrt(S) / sqrt(V + eps)] Q_R^T)    S_ij = |m~_i.| |m~_.j|

    m~: the average of decay beta1 in the eigenbasis, whose first step only sets the basis; `Varied` has the rest,
    and says what its correction for the bias does to the first steps. polar commutes with turns, so it is taken in
    the weights' own axes. Departure: the official Newton-Schulz starts from the Schatten-8 norm; `polar` says how ours
    does. Reference: Song et al., arXiv 2602.06880 (from a description of its code).

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = DeVA(net, lr=3e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 3e-3,
        momentum: Momentum = 0.95,
        beta1: float = 0.95,
        beta2: float = 0.95,
        weight_decay: float = 0.01,
        *,
        nesterov: bool = True,
        variance_eps: float = 1e-8,
        every: int = 10,
        largest: int = 10000,
        polar: Polar = KELLER,
        **engine: Unpack[Engine],
    ) -> None:
        self.polar = polar
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov, "beta1": beta1}
        numbers |= {"beta2": beta2, "variance_eps": variance_eps, "every": every, "largest": largest}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """A late average, the polar factor, the variance in the eigenbasis, decay after the step."""
        learned = {"eps": group["variance_eps"], "every": group["every"], "largest": group["largest"]}
        metric = Varied(MatchRMS(Spectral(self.polar)), group["beta1"], group["beta2"], **learned)
        remember = self.average(group)
        remember = Late(remember) if isinstance(remember, QuasiHyperbolic) else remember
        return self.rule_of(remember, metric, group, step=Wait(), combine=Trailing(group["weight_decay"]))
