"""SOAP: Adam in the eigenbasis of Shampoo's Gram matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Trailing
from ..core.rule import Rule
from ..filters import Late
from ..metrics import RotatedMoment
from ..steps import Wait
from .choice import Momentum
from .routed import Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SOAP(Routed):
    """Adam, turned into the eigenbasis of the gradients' Gram matrices, for hidden matrices; AdamW for the rest.

        m <- b1 m + (1 - b1) G,    V <- b2 V + (1 - b2) (Q_L^T G Q_R)^2
        D = Q_L [(Q_L^T mhat Q_R) / sqrt(Vhat)] Q_R^T,    W <- (1 - lr decay) (W - lr D)

    As the official code: the first step only sets the basis, later ones see a basis that has not seen their gradient,
    eps is beside sqrt(V) before its correction. m stays in the weights' own axes and is turned when used: the same as
    turning it along with the basis. every: steps between turns of the basis; sides longer than `largest` keep their
    axes. `momentum` may choose itself, then its averages include the first gradient. On CUDA the host waits once a
    step. Reference: Vyas et al., arXiv 2409.11321; nikhilvyas/SOAP.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = SOAP(net, lr=3e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 3e-3,
        momentum: Momentum = 0.95,
        beta2: float = 0.95,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        every: int = 10,
        largest: int = 10000,
        **engine: Unpack[Engine],
    ) -> None:
        numbers = {"momentum": momentum, "beta2": beta2, "eps": eps, "weight_decay": weight_decay, "nesterov": False}
        numbers |= {"every": every, "largest": largest, "rest_betas": (0.95, 0.95)}
        super().__init__(params, lr, numbers, **engine)

    def matrix(self, group: Group) -> Rule:
        """A late average, the turned second moment, decay after the step."""
        metric = RotatedMoment(group["beta2"], group["eps"], group["every"], group["largest"])
        average = self.unbiased(group)
        remember = average if group["candidates"] else Late(average)
        return self.rule_of(remember, metric, group, step=Wait(), combine=Trailing(group["weight_decay"]))
