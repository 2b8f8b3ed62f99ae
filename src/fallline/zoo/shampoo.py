"""Shampoo and KL-Shampoo: a preconditioner for the rows of a matrix and one for its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.part import Metric
from ..core.rule import Rule
from ..metrics import Grafted, Kronecker, Kullback, SecondMoment
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

ADAM = SecondMoment(0.95)


class Shampoo(Routed):
    """Both sides of a matrix are whitened by the gradients' Gram matrices, for hidden matrices; AdamW for the rest.

        L <- b2 L + (1 - b2) G G^T,    R <- b2 R + (1 - b2) G^T G,    D = L^(-1/4) mhat R^(-1/4)
        W <- (1 - lr decay) W - lr D norm(d') / norm(D)

    graft: the metric whose step d' lends its length, so that its lr serves; Adam's unless told, None for none. beta2: 1
    sums, as first published. every: steps between roots. largest: longer sides are left alone, and the other has the
    root -1/2. floor: of the eigenvalues, relative to the largest. On CUDA the host waits once a step. Reference:
    Gupta et al., arXiv 1802.09568; Anil et al., arXiv 2002.09018 and Shi et al., arXiv 2309.06497 for averages, period
    and grafting.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Shampoo(net, lr=3e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 3e-3,
        momentum: Momentum = 0.95,
        beta2: float = 0.95,
        floor: float = 1e-6,
        weight_decay: float = 0.01,
        *,
        every: int = 10,
        largest: int = 10000,
        graft: Metric | None = ADAM,
        **engine: Unpack[Engine],
    ) -> None:
        self.graft = graft
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": False, "beta2": beta2}
        numbers |= {"floor": floor, "every": every, "largest": largest}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, both roots, another's length, decay."""
        roots = Kronecker(group["beta2"], every=group["every"], eps=group["floor"], largest=group["largest"])
        return self.rule_of(self.unbiased(group), Grafted(roots, self.graft) if self.graft else roots, group)


class KLShampoo(Routed):
    """Shampoo whose sides are fitted together, so that it needs no graft, for hidden matrices; AdamW for the rest.

        L <- b2 L + (1 - b2) G R^-1 G^T / n,    R <- b2 R + (1 - b2) G^T L^-1 G / m,    D = L^(-1/2) mhat R^(-1/2)
        W <- (1 - lr decay) W - lr D

    The idealised form of the paper: roots by eigenvalues every few steps, `Kullback` says what the official code does
    instead. floor: of the eigenvalues, relative to the largest. On CUDA the host waits once a step. Reference: Lin et
    al., arXiv 2509.03378.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = KLShampoo(net, lr=3e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 3e-3,
        momentum: Momentum = 0.95,
        beta2: float = 0.95,
        floor: float = 1e-6,
        weight_decay: float = 0.01,
        *,
        every: int = 10,
        largest: int = 10000,
        **engine: Unpack[Engine],
    ) -> None:
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": False, "beta2": beta2}
        numbers |= {"floor": floor, "every": every, "largest": largest}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, both roots, decay."""
        roots = Kullback(group["beta2"], group["every"], group["floor"], group["largest"])
        return self.rule_of(self.unbiased(group), roots, group)
