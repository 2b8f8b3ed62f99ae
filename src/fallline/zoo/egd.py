"""EGD: every singular direction learns at the same speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..filters import Identity
from ..metrics import SVD, Euclid, Spectral
from ..metrics.polar import Polar
from .routed import Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class EGD(Routed):
    """Egalitarian gradient descent: gradient descent with all singular values set to one, for hidden matrices.

        W <- W - lr (G G^T)^(-1/2) G = W - lr polar(G)

    No momentum, exact polar factor, plain gradient descent for the rest. It is Muon with b = 0, an exact polar factor
    and no shape factor. Claim: it removes the plateau of grokking (modular addition, sparse parity).
    Reference: arXiv 2510.04930.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = EGD(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        weight_decay: float = 0.0,
        *,
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = Spectral(polar or SVD())
        super().__init__(params, lr, {"weight_decay": weight_decay}, **engine)

    def matrix(self, group: Group) -> Rule:
        """Polar factor of the gradient."""
        return self.rule_of(Identity(), self.metric, group)

    def rest(self, group: Group) -> Rule:
        """Gradient descent."""
        return self.rule_of(Identity(), Euclid(), group)
