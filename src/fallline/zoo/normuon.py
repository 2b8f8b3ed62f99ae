"""NorMuon: Muon whose rows share the step evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.part import Map
from ..core.rule import Rule
from ..maps import Chain, Rms, RowMoment
from ..metrics import NewtonSchulz, Spectral, shaped
from ..metrics.polar import Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class NorMuon(Routed):
    """Muon, then every row (neuron) over the size that it usually has, the whole step as long as before.

        O = polar(u),   v <- b2 v + (1 - b2) mean_j O_ij^2,   O' = O / sqrt(v) * norm(O) / norm(O / sqrt(v))
        W <- (1 - lr decay) W - lr s(m, n) O'

    u is Muon's average. shape: s: "keller" (the official code), or "exact": O' has root mean square .2 (the paper).
    A matrix with m <= n has rows of equal length in its exact polar factor already: there only the error of
    Newton-Schulz is evened out, so the effect is on tall matrices. Reference: Li et al., arXiv 2510.05491.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = NorMuon(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.02,
        momentum: Momentum = 0.95,
        beta2: float = 0.95,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        shape: str = "keller",
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.exact = shape == "exact"  # after the moment, which must not see a factor that changes from step to step
        self.metric = shaped("none" if self.exact else shape, Spectral(polar or NewtonSchulz()))
        numbers = {"momentum": momentum, "beta2": beta2, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor, second moment of its rows."""
        rows = RowMoment(group["beta2"])
        after: Map = Chain(rows, Rms(0.2)) if self.exact else rows
        return self.rule_of(self.average(group), self.metric, group, after=after)
