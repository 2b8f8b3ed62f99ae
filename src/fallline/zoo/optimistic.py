"""Optimizers that act on the gradient before it is there, or take it where they will be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Decoupled, Transport
from ..core.rule import Rule
from ..filters import HeavyBall, QuasiHyperbolic
from ..maps import Foresight
from ..metrics import Euclid, Frobenius, MaxSecondMoment
from ..steps import Constant
from .choice import check_number, check_pair
from .walking import Driven

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .walking import Walking


class OptAMSGrad(Driven):
    """AMSGrad whose weights also take the step that the next gradient, extrapolated from the last ones, will ask for.

        m <- b1 m + (1 - b1) g,    v <- b2 v + (1 - b2) (g - p)^2,    w <- max(w, v),    D = sqrt(w / (1 - b2^n)) + eps
        theta~ <- theta~ - lr m / D,    theta = theta~ - lr [m + (1 - b1) (p_next - g)] / D

    p: see `Foresight`, per tensor. Memory: history + 5 buffers. From memory: its details are uncertain, and the
    correction by 1 - b2^n is torch's, not the paper's. Reference: Wang et al., arXiv 1903.01435.

    >>> import torch
    >>> opt = OptAMSGrad([torch.nn.Parameter(torch.ones(2))])
    >>> opt.sentence(opt.param_groups[0]).after
    Foresight(metric=MaxSecondMoment(beta=0.999, eps=1e-08), beta=0.9, history=5, ridge=1e-06)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        history: int = 5,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"betas": betas, "eps": eps, "history": history, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Plain average, Euclid, foresight around the maximum moment, constant step, decay."""
        beta1, beta2 = check_pair(group["betas"])
        after = Foresight(MaxSecondMoment(beta2, group["eps"]), beta1, group["history"])
        rest = self.precision(group)
        return Rule(QuasiHyperbolic(beta1), Euclid(), Constant(), self.decay(group), after=after, **rest)


class NIGT(Driven):
    """Normalised momentum of gradients taken ahead of the weights, so that their average is not stale.

        m <- b m + (1 - b) g(y) from m = g,    x <- x - lr m / norm(m),    y = x + b / (1 - b) (x - x_old)

    norm: of each tensor by itself; in the paper of all weights as one vector. The parameters hold y: `opt.eval()`
    before you evaluate or save the model, `opt.train()` before you go on. Units: lr is a length per step. Reference:
    Cutkosky & Mehta, arXiv 2002.03305.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> opt = NIGT([w], lr=0.1); w.sum().backward(); opt.step(); opt.eval(); w.data
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"momentum": check_number(momentum, "momentum value"), "weight_decay": weight_decay}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Damped heavy ball, Frobenius, constant step, transport."""
        b = check_number(group["momentum"], "momentum value")
        transport = Transport(b, Decoupled(group["weight_decay"]))
        return Rule(HeavyBall(b, dampening=b), Frobenius(), Constant(), transport, **self.precision(group))
