"""SoftMuon and MuCon: Muon that leaves small singular values small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..metrics import Clip, Soft, Spectrum
from ..metrics.shape import shaped
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SoftMuon(Routed):
    """Muon with a soft sign of the singular values, for hidden matrices; AdamW for the rest.

        m <- b m + (1 - b) g,    u = (1 - b) g + b m,    D = u (u^T u + tau^-2 I)^(-1/2)
        W <- (1 - lr decay) W - lr s(m, n) D

    level: the quantile of u's singular values from which on they count as 1 (1 - 1e-4, which sets tau); 0 is Muon.
    The paper turns from Muon to small tau in the course of a run: let `group["level"]` rise for that; it fits tau to
    the whole network once, we to each matrix at each step. shape: s, as of Muon. Reference: arXiv 2605.31371.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = SoftMuon(net, level=0.9)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.02,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        level: float = 0.5,
        nesterov: bool = True,
        shape: str = "keller",
        **engine: Unpack[Engine],
    ) -> None:
        self.shape = shape
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov, "level": level}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, soft sign of the spectrum, decay."""
        return self.rule_of(self.average(group), shaped(self.shape, Spectrum(Soft(group["level"]))), group)


class MuCon(Routed):
    """Momentum with its singular values clipped, for hidden matrices; AdamW for the rest.

        m <- b m + (1 - b) g,  u = (1 - b) g + b m = U S V^T,  W <- (1 - lr decay) W - lr s(m, n) U min(S, tau) V^T

    tau: the largest singular value that passes, in the gradient's units: far below all of them the step is tau times
    Muon's, above all of them momentum SGD's. shape: s, as of Muon (the paper's own scaling we could not read).
    Reference: arXiv 2605.26459.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = MuCon(net, tau=0.1)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.02,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        tau: float = 1.0,
        nesterov: bool = True,
        shape: str = "keller",
        **engine: Unpack[Engine],
    ) -> None:
        self.shape = shape
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov, "tau": tau}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, clipped spectrum, decay."""
        return self.rule_of(self.average(group), shaped(self.shape, Spectrum(Clip(group["tau"]))), group)
