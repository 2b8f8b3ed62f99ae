"""REG: rows and columns scaled instead of a polar factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..maps import Rms, RowColScale
from ..metrics import Euclid
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class REG(Routed):
    """Muon with equilibration in the place of the polar factor: no product of matrices.

        D = diag(r)^-a m diag(c)^-a,   r_i, c_j the 2-norms of rows and columns
        W <- (1 - lr decay) W - lr .2 D / rms(D)

    The operator is reconstructed from the abstract: order, exponent a and eps are uncertain (a = 1/2 and both sides
    from the same m are our choice; p = 2 is the paper's). It is not the RACS of arXiv 2502.07752. A matrix of equal
    rows and equal columns (in norm) keeps its direction. Reference: arXiv 2510.03691.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = REG(net, lr=1e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.1,
        *,
        exponent: float = 0.5,
        order: str = "together",
        nesterov: bool = False,
        **engine: Unpack[Engine],
    ) -> None:
        self.scale = RowColScale(order, exponent=exponent)
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, equilibration, size."""
        return self.rule_of(self.average(group), Euclid(), group, before=self.scale, after=Rms(0.2))
