"""AuON: momentum SGD, as its identity shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.part import Metric
from ..core.rule import Rule
from ..maps import Cosh
from ..metrics import Euclid
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AuON(Routed):
    """The average over the rms of the hyperbolic cosine of its entries, which is one to three digits.

        u = (1 - b) g + b m,   r = rms(cosh(gamma u / norm(u))),   W <- W - lr d(u) / (r + 1e-8)

    metric: d. Euclid() (the default; the public code) makes it Nesterov's momentum SGD to within 1e-3 for matrices of
    4096 entries or more, since 1 <= r and r - 1 is about gamma^2 / (2 m n). Keller(Schatten(2)) is the paper's form,
    normalised momentum SGD; Spectral() the hybrid: Muon without shape factor. It is here so that nobody has to measure
    it: a no-op in disguise. Its lr is SGD's, and depends on the scale of the loss. Reference: the public code of AuON
    (ryyzn9), lr .24 (its README: .08).

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = AuON(net, lr=0.24)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.24,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        gamma: float = 1.5,
        metric: Metric | None = None,
        nesterov: bool = True,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = metric or Euclid()
        numbers = {"momentum": momentum, "gamma": gamma, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, metric, cosh."""
        return self.rule_of(self.average(group), self.metric, group, after=Cosh(group["gamma"]))
