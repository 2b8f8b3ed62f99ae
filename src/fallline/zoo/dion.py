"""Dion: a low-rank polar factor by one power iteration. Dion2: the polar factor of a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..filters import LowRankEF, SliceEF
from ..metrics import Euclid, FanRatio, NewtonSchulz, Sliced, Spectral
from ..metrics.polar import Polar
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

POLAR_EXPRESS = NewtonSchulz(
    (
        (8.15655, -22.48329, 15.87877),
        (4.04293, -2.80892, 0.50002),
        (3.89167, -2.77248, 0.50606),
        (3.28575, -2.36813, 0.46449),
        (2.34654, -1.70978, 0.42324),
    )
)  # as in microsoft/dion, with its margin of 2 %


class Dion(Routed):
    """A low-rank polar factor by one power iteration a step, with error feedback; AdamW for the rest.

        B = M + G,  P = orth(B Q),  R = B^T P,  M <- B - (1 - mu) P R^T,  Q <- R / |columns of R|
        W <- (1 - lr decay) W - lr sqrt(m / n) P Q^T

    rank_fraction: the share of min(m, n) directions that a step moves; what it leaves stays in M. It was made to send
    P and R instead of G between machines; here, on one, it saves the polar factor. At full rank with an exact Q it is
    Muon with a heavy ball. Reference: arXiv 2504.05295; microsoft/dion.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Dion(net, rank_fraction=0.25)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        mu: float = 0.95,
        weight_decay: float = 0.01,
        *,
        rank_fraction: float = 1.0,
        **engine: Unpack[Engine],
    ) -> None:
        numbers = {"mu": mu, "rank_fraction": rank_fraction, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Low-rank factor, shape factor, decay."""
        return self.rule_of(LowRankEF(group["rank_fraction"], group["mu"]), FanRatio(Euclid()), group)


class Dion2(Routed):
    """The polar factor of the heaviest rows (columns of tall matrices), with error feedback; AdamW for the rest.

        M <- M + G,   K = the ceil(fraction dim) rows of largest l1 norm,   D = polar(M_K),   M_K <- ef_decay M_K
        W <- (1 - lr decay) W,   W_K <- W_K - lr sqrt(m / n) D

    fraction: the share of rows that a step moves. fraction = 1 is Muon with a heavy ball of ef_decay, without Nesterov.
    polar: Polar Express in five steps, as published. Reference: arXiv 2512.16928; microsoft/dion.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Dion2(net, fraction=0.5)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        fraction: float = 0.25,
        ef_decay: float = 0.95,
        weight_decay: float = 0.01,
        *,
        polar: Polar = POLAR_EXPRESS,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = Spectral(polar)
        numbers = {"fraction": fraction, "ef_decay": ef_decay, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Heaviest slices, their polar factor, shape factor, decay."""
        fraction = group["fraction"]
        return self.rule_of(SliceEF(fraction, group["ef_decay"]), FanRatio(Sliced(self.metric, fraction)), group)
