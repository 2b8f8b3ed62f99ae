"""HTMuon: Muon with a heavy-tailed spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..metrics import Power, Spectrum
from ..metrics.shape import shaped
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class HTMuon(Routed):
    """Singular values to a small power instead of to 1, for hidden matrices; AdamW for the rest.

        m <- b m + (1 - b) g,   u = (1 - b) g + b m = U S V^T,   W <- (1 - lr decay) W - lr s(m, n) U S^p V^T

    power: p; 0 is Muon, 1 momentum SGD. Larger directions stay larger, so noise is amplified less. It is not free of
    the gradient's scale: c g moves c^p as far. Every step takes an SVD; the paper's faster approximations are not here.
    shape: s, as of Muon. Reference: arXiv 2603.10067 (its runs use p = .125, its code's default is .25).

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = HTMuon(net, lr=0.02)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.02,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        power: float = 0.125,
        nesterov: bool = True,
        shape: str = "keller",
        **engine: Unpack[Engine],
    ) -> None:
        self.shape = shape
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov, "power": power}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, power of the spectrum, decay."""
        return self.rule_of(self.average(group), shaped(self.shape, Spectrum(Power(group["power"]))), group)
