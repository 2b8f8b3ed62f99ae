"""PolarAdamW: the polar factor of Adam's direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..filters import EMA
from ..maps import Through
from ..metrics import NewtonSchulz, SecondMoment, Spectral, shaped
from ..metrics.polar import Polar
from .routed import Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class PolarAdamW(Routed):
    """Adam whitens every coordinate, then the polar factor evens out the spectrum.

        W <- (1 - lr decay) W - lr s(m, n) polar(m' / (sqrt(v') + eps))

    m', v' are Adam's corrected averages. The paper's scale s was not readable: "rms", so that AdamW's lr serves, is our
    choice. b1 = b2 = 0 is polar(sgn(G)). Reference: arXiv 2605.07067.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = PolarAdamW(net, lr=1e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        shape: str = "rms",
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = shaped(shape, Spectral(polar or NewtonSchulz()))
        super().__init__(params, lr, {"betas": betas, "eps": eps, "weight_decay": weight_decay}, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, whitening, polar factor."""
        (beta1, beta2), eps = group["betas"], group["eps"]
        return self.rule_of(EMA(beta1), self.metric, group, before=Through(SecondMoment(beta2, eps)))
