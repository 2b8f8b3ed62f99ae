"""PolarGrad: the polar factor times the nuclear norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..metrics import OwnDual, Spectral
from ..metrics.polar import QDWH, Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class PolarGrad(Routed):
    """Steepest descent in the spectral norm with its own size: steps vanish where gradients do.

        m <- b m + (1 - b) g,    W <- (1 - lr decay) W - lr ||m||_* polar(m)

    ||m||_*, the sum of singular values, is <m, polar(m)>. It is the matrix's own; arXiv 2409.20325 proves the sum over
    all matrices, see `DualNorm`. Not scale invariant: lr depends on the scale of the loss, like SGD's. The published
    variants that take momentum of the polar factors (polar_first) are left out. Reference: arXiv 2505.21799.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = PolarGrad(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.02,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = OwnDual(Spectral(polar or QDWH()))
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor, nuclear norm."""
        return self.rule_of(self.average(group), self.metric, group)
