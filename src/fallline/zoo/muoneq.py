"""MuonEq: rows and columns equilibrated before Newton-Schulz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..maps import RowColScale
from ..metrics import NewtonSchulz, Spectral, shaped
from ..metrics.polar import Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class MuonEq(Routed):
    """Muon on rows, columns or both of unit length: a better conditioned start, and another target.

        u = g + mu h,   a_i = (sum_j u_ij^2 + eps)^(-1/2),  c_j alike
        W <- (1 - lr decay) W - lr s polar(diag(a) u diag(c))

    h <- mu h + g. order: "rows" (the paper's default: a alone), "columns" (c alone), "together" (the code's default).
    The direction is then that of the scaled matrix, not an approximation of Muon's. Reference: arXiv 2603.28254.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = MuonEq(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: Momentum = 0.9,
        weight_decay: float = 0.1,
        *,
        order: str = "rows",
        nesterov: bool = True,
        shape: str = "rms",
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = shaped(shape, Spectral(polar or NewtonSchulz()))
        self.scale = RowColScale(order, eps=1e-8)
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Heavy ball, equilibration, polar factor."""
        return self.rule_of(self.ball(group), self.metric, group, before=self.scale)
