"""AdamW with less memory: one second moment per row or column, and momentum in a subspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..filters import SubspaceMomentum
from ..metrics import SubsetNorm
from .choice import check_number
from .routed import Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AdamWSN(Routed):
    """AdamW whose second moment of a hidden matrix is one number per row, or per column of a wide one; AdamW elsewhere.

        v_S <- b2 v_S + (1 - b2) sum_{i in S} g_i^2
        theta <- (1 - lr weight_decay) theta - lr mhat / (sqrt(vhat_S) + eps)

    The authors take about ten times AdamW's lr. chunk: neighbours in a group, instead of rows or columns. momentum: a
    number, candidates, or "auto". Memory of a matrix: one buffer. Reference: Nguyen & Nguyen, arXiv 2411.07120.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> print(AdamWSN(net).sentence(AdamWSN(net).param_groups[0]))
    EMA(0.9) → SubsetNorm(0.999) → Constant() → Decoupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        momentum: Any = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        chunk: int | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        numbers = {"momentum": momentum, "beta2": beta2, "eps": eps, "weight_decay": weight_decay, "chunk": chunk}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, subset norm."""
        return self.rule_of(self.unbiased(group), SubsetNorm(group["beta2"], group["eps"], group["chunk"]), group)


class SNSM(Routed):
    """AdamWSN that remembers momentum only where the gradients of a hidden matrix mostly lie; AdamW elsewhere.

        m <- b1 m + (1 - b1) P^T G,    U = P mhat + (G - P P^T G)
        W <- (1 - lr weight_decay) W - lr U / (sqrt(vhat_S) + eps)

    P: `rank` singular vectors, anew every `every` steps (`SubspaceMomentum`, with what differs from the public code);
    v_S: `SubsetNorm`. Memory of an m x n matrix, m <= n: rank (m + n) + n. Reference: Nguyen & Nguyen, arXiv
    2411.07120.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> print(SNSM(net, rank=2).sentence(SNSM(net, rank=2).param_groups[0]))
    SubspaceMomentum(0.9, rank=2) → SubsetNorm(0.999) → Constant() → Decoupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        momentum: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        rank: int = 128,
        every: int = 200,
        **engine: Unpack[Engine],
    ) -> None:
        numbers = {"momentum": check_number(momentum, "momentum value"), "beta2": beta2, "eps": eps}
        numbers |= {"weight_decay": weight_decay, "rank": rank, "every": every}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Subspace momentum, subset norm."""
        remember = SubspaceMomentum(group["momentum"], group["rank"], group["every"])
        return self.rule_of(remember, SubsetNorm(group["beta2"], group["eps"]), group)


REST: Group = {"rest_betas": (0.9, 0.999), "rest_eps": 1e-8}
