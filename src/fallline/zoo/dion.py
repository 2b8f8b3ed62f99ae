"""Dion: a low-rank polar factor by one power iteration. Dion2: the polar factor of a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..filters import LowRankEF, SliceEF
from ..maps import Awake, RowMoment
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


def single(group: Group) -> float:
    """The group's momentum, which error feedback cannot leave to a choice."""
    if group["candidates"]:
        raise ValueError("Error feedback forgets what a step has used, so its momentum is one number, not a choice.")
    return float(group["momentum"])


class Dion(Routed):
    """A low-rank polar factor by one power iteration a step, with error feedback; AdamW for the rest.

        B = M + G,  P = orth(B Q),  R = B^T P,  M <- B - (1 - mu) P R^T,  Q <- R / |columns of R|
        W <- (1 - lr decay) W - lr sqrt(m / n) P Q^T

    mu: a group's "momentum". rank_fraction: the share of min(m, n) directions that a step moves; what it leaves stays
    in M. It was made to send P and R instead of G between machines; here, on one, it saves the polar factor. At full
    rank with an exact Q it is Muon with a heavy ball. Reference: Ahn et al., arXiv 2504.05295; microsoft/dion.

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
        numbers = {"momentum": mu, "rank_fraction": rank_fraction, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Low-rank factor, shape factor, decay."""
        return self.rule_of(LowRankEF(group["rank_fraction"], single(group)), FanRatio(Euclid()), group)


class Dion2(Routed):
    """The polar factor of the heaviest rows (columns of tall matrices), with error feedback; AdamW for the rest.

        M <- M + G,   K = the ceil(fraction dim) rows of largest l1 norm,   D = polar(M_K),   M_K <- ef_decay M_K
        W <- (1 - lr decay) W,   W_K <- W_K - lr sqrt(m / n) D

    ef_decay: a group's "momentum". fraction: the share of rows that a step moves; 1 is Muon with a heavy ball of
    ef_decay, without Nesterov. polar: Polar Express in five steps, as published. Reference: arXiv 2512.16928;
    microsoft/dion.

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
        numbers = {"momentum": ef_decay, "fraction": fraction, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Heaviest slices, their polar factor, shape factor, decay."""
        fraction = group["fraction"]
        return self.rule_of(SliceEF(fraction, single(group)), FanRatio(Sliced(self.metric, fraction)), group)


class NorDion2(Routed):
    """Dion2 on rows, each row then over the size that it usually has, as NorMuon does it; AdamW for the rest.

        M <- M + G,   K = the ceil(fraction m) rows of largest l1 norm,   O = polar(M_K),   M_K <- mu M_K
        v_K <- b2 v_K + (1 - b2) mean_j O_ij^2,   O' = O / sqrt(v_K) * norm(O) / norm(O / sqrt(v_K))
        W <- (1 - lr decay) W,   W_K <- W_K - lr sqrt(m / n) O'

    mu: a group's "momentum". fraction: the share of rows that a step moves. Rows of tall matrices too, unlike Dion2;
    where a slice is wider than tall the exact O has rows of equal length, and only what polar leaves over is evened
    out. Reference: microsoft/dion (nordion2.py), no paper.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = NorDion2(net, fraction=0.5)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        fraction: float = 0.25,
        mu: float = 0.95,
        beta2: float = 0.95,
        weight_decay: float = 0.01,
        *,
        polar: Polar = POLAR_EXPRESS,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = Spectral(polar)
        numbers = {"momentum": mu, "beta2": beta2, "fraction": fraction, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Heaviest rows, their polar factor, the second moment of rows, shape factor, decay."""
        fraction, metric = group["fraction"], FanRatio(Sliced(self.metric, group["fraction"], axis=-2))
        after = Awake(RowMoment(group["beta2"]))
        return self.rule_of(SliceEF(fraction, single(group), axis=-2), metric, group, after=after)
