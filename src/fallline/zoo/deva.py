"""DeVA: how much a momentum varies, apart from which way it points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..combines import Decoupled, Trailing
from ..core.chooser import Selector
from ..core.descent import Descent
from ..core.rule import Rule
from ..core.write import Write
from ..filters import Late, QuasiHyperbolic
from ..maps import Variance
from ..metrics import Euclid, MatchRMS, NewtonSchulz, Polar, Spectral, Varied
from ..metrics.polar import SchattenStart
from ..steps import Constant, Wait
from .choice import Betas, Choice, Momentum, refuse_in_group, split_betas
from .precision import precision
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

KELLER = NewtonSchulz("keller", SchattenStart(8))


class DeVA(Routed):
    """Muon's direction, its entries weighed by how the momentum varies in Shampoo's eigenbasis; AdamW for the rest.

        u = (1 - b) g + b m,    O = .2 sqrt(max(m, n)) Q_L^T polar(u) Q_R,    V <- b2 V + (1 - b2) S
        W <- (1 - lr decay) (W - lr Q_L [O sqrt(S) / sqrt(V + eps)] Q_R^T)    S_ij = |m~_i.| |m~_.j|

    m~: the average of decay beta1 in the eigenbasis, whose first step only sets the basis; `Varied` has the rest,
    and says what its correction for the bias does to the first steps. polar commutes with turns, so it is taken in
    the weights' own axes. polar: five steps of Newton-Schulz from the Schatten-8 norm, unless told. Reference: Song et
    al., arXiv 2602.06880 (from a description of its code; we had neither it nor the paper's listing).

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = DeVA(net, lr=3e-3)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 3e-3,
        momentum: Momentum = 0.95,
        beta1: float = 0.95,
        beta2: float = 0.95,
        weight_decay: float = 0.01,
        *,
        nesterov: bool = True,
        variance_eps: float = 1e-8,
        every: int = 10,
        largest: int = 10000,
        polar: Polar = KELLER,
        **engine: Unpack[Engine],
    ) -> None:
        self.polar = polar
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov, "beta1": beta1}
        numbers |= {"beta2": beta2, "variance_eps": variance_eps, "every": every, "largest": largest}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """A late average, the polar factor, the variance in the eigenbasis, decay after the step."""
        learned = {"eps": group["variance_eps"], "every": group["every"], "largest": group["largest"]}
        metric = Varied(MatchRMS(Spectral(self.polar)), group["beta1"], group["beta2"], **learned)
        remember = self.average(group)
        remember = Late(remember) if isinstance(remember, QuasiHyperbolic) else remember
        return self.rule_of(remember, metric, group, step=Wait(), combine=Trailing(group["weight_decay"]))


class DeVAEuclid(Descent):
    """A momentum over the root of its own mean square: Adam that squares the momentum, for every parameter.

        m <- b1 m + (1 - b1) g,    v <- b2 v + (1 - b2) m^2,    theta <- (1 - lr decay) theta - lr m / sqrt(v + eps)

    Nothing is corrected for bias. b1 = 0 is RMSprop with eps under the root. betas[0] may be candidates or "auto".
    Reference: Song et al., arXiv 2602.06880, Euclidean form (from a description of its code).

    >>> import torch
    >>> opt = DeVAEuclid([torch.nn.Parameter(torch.ones(100))])
    >>> print(opt.sentence(opt.param_groups[0]))
    QuasiHyperbolic(0.9) → Euclid() → Variance(0.999) → Constant() → Decoupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-2,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-5,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        bank: str = "probe",
        selector: Selector | None = None,
        write: str | Write | None = None,
        state_dtype: torch.dtype = torch.float32,
        delay: int = 0,
        on_nonfinite: str = "skip",
        chunk_bytes: int | None = None,
    ) -> None:
        self.choice, self.precision = Choice(bank, selector), precision(write, state_dtype)
        numbers = split_betas({"betas": betas}) | {"eps": eps, "weight_decay": weight_decay}
        how: dict[str, Any] = {"maximize": maximize, "foreach": foreach, "delay": delay, "on_nonfinite": on_nonfinite}
        super().__init__(params, lr=lr, defaults=numbers, chunk_bytes=chunk_bytes, **how)
        self.choice.refuse_idle(betas[0], self.param_groups)

    def prepare(self, group: Group) -> Group:
        """Split a group's own betas into the numbers shown and the candidates."""
        refuse_in_group(self, group)
        return split_betas(group)

    def sentence(self, group: Group) -> Rule:
        """Average, nothing, its variance, decay."""
        beta1, beta2 = group["betas"]
        bank = [QuasiHyperbolic(b) for b in group["candidates"] or (beta1,)]
        remember = self.choice.filter(bank) if group["candidates"] else bank[0]
        parts = {"after": Variance(beta2, group["eps"]), **self.precision}
        return Rule(remember, Euclid(), Constant(), Decoupled(group["weight_decay"]), **parts)
