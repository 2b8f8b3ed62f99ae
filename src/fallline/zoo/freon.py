"""Freon and Kaon: Muon with the spectrum turned upside down, and with a chaotic one. They are controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..metrics import NewtonSchulz, QuasiNorm, Spectral, Spectrum
from ..metrics.shape import shaped
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Freon(Routed):
    """Steepest descent in Schatten norms and in what lies beyond them, for hidden matrices; AdamW for the rest.

        m <- b m + (1 - b) g,    M_n = m / norm_q(m),    D = (M_n M_n^T)^(-c) M_n,    q = 2 (1 - c)
        W <- (1 - lr decay) W - lr s(m, n) D

    c: 0 is normalised momentum SGD, 1/2 is Muon, and between 1/2 and 1 the spectrum is inverted: the smallest singular
    value moves most, which no norm does. The paper found its best c above 1/2; .6 is our default, not its. shape: s, as
    of Muon (the source that we read has none). An SVD per step takes the place of its rational iteration. Reference:
    arXiv 2605.11181, read through a digest.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Freon(net, lr=0.01, c=0.5)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        c: float = 0.6,
        nesterov: bool = False,
        shape: str = "rms",
        **engine: Unpack[Engine],
    ) -> None:
        self.shape = shape
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov, "c": c}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, power of the normalised spectrum, decay."""
        return self.rule_of(self.average(group), shaped(self.shape, Spectrum(QuasiNorm(2 * (1 - group["c"])))), group)


def chaos(steps: int) -> NewtonSchulz:
    """X <- 4.1 (I - X X^T)^2 X from X / norm(X), so often, then X / 1.175: a Newton-Schulz iteration gone wild.

    Singular vectors stay, singular values jump about in (0, 1]: 4.1 (1 - s^2)^2 s is at most 1.1735.
    """
    wild, last = (4.1, -8.2, 4.1), (4.1 / 1.175, -8.2 / 1.175, 4.1 / 1.175)
    return NewtonSchulz((wild,) * (steps - 1) + (last,))


class Kaon(Routed):
    """A control, no optimizer to use: Muon whose singular values are replaced by a chaotic map's noise.

        X_0 = m / norm(m),   X <- 4.1 (I - X X^T)^2 X, `steps` times,   W <- (1 - lr decay) W - lr s(m, n) X / 1.175

    If it matches Muon on your problem, then Muon's flat spectrum did not matter there: any spectrum of about that size
    on the same singular vectors would do. Race it beside every Muon. steps: 5 cost what Muon's five do (the number of
    the paper's runs we could not read). shape: s, as of Muon. Reference: arXiv 2605.11181, read through a digest.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Kaon(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        steps: int = 5,
        nesterov: bool = False,
        shape: str = "rms",
        **engine: Unpack[Engine],
    ) -> None:
        if steps < 1:
            raise ValueError(f"Invalid steps: {steps!r}; the map is applied once or more often.")
        self.metric = shaped(shape, Spectral(chaos(steps)))
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, chaotic spectrum, decay."""
        return self.rule_of(self.average(group), self.metric, group)
