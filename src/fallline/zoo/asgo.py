"""ASGO and DASGO: Shampoo on the shorter side, with the whole Gram matrix or with its diagonal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.part import Metric
from ..core.rule import Rule
from ..metrics import Exact, Kronecker, SideMoment
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ASGO(Routed):
    """The shorter side is whitened by the gradients' Gram matrix, for hidden matrices; AdamW for the rest.

        M <- b1 M + (1 - b1) G,    V <- b2 V + (1 - b2) G G^T  (m <= n),    D = V^(-1/2) M
        W <- (1 - lr decay) W - lr rms sqrt(mn) D / norm(D)

    G^T G and M V^(-1/2) where m > n. Without averages it is Muon with the exact polar factor and this size. floor: of
    the eigenvalues, relative to the largest; the root is by eigenvalues, not by the official iteration. Reference: An
    et al., arXiv 2503.20762; infinity-stars/ASGO.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = ASGO(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        momentum: Momentum = 0.9,
        beta2: float = 0.8,
        floor: float = 1e-10,
        weight_decay: float = 0.1,
        *,
        every: int = 1,
        rms: float = 0.2,
        **engine: Unpack[Engine],
    ) -> None:
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": False, "beta2": beta2}
        super().__init__(params, lr, numbers | {"floor": floor, "every": every, "rms": rms} | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, one root, a stated size, decay."""
        side = Kronecker(group["beta2"], sides="short", every=group["every"], eps=group["floor"])
        return sized(self, side, group)


class DASGO(Routed):
    """ASGO with the diagonal of its Gram matrix alone: rows (or columns) by what they usually measure.

        v_i <- b2 v_i + (1 - b2) sum_j G_ij^2  (m <= n),    D_ij = M_ij / sqrt(v_i),    the rest as in ASGO

    Without averages every row (column, where m > n) is normalised. Reference: An et al., arXiv 2503.20762.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = DASGO(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        momentum: Momentum = 0.9,
        beta2: float = 0.8,
        weight_decay: float = 0.1,
        *,
        rms: float = 0.2,
        **engine: Unpack[Engine],
    ) -> None:
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": False, "beta2": beta2}
        super().__init__(params, lr, numbers | {"rms": rms} | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, second moments of the shorter side, a stated size, decay."""
        return sized(self, SideMoment(group["beta2"]), group)


def sized(opt: Routed, metric: Metric, group: Group) -> Rule:
    """The average, and a step of this root mean square."""
    return opt.rule_of(opt.average(group), Exact(metric, group["rms"]), group)
