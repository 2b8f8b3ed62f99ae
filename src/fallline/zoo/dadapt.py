"""D-Adaptation of SGD and Adam: a learning rate from a lower bound on the distance to the solution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Coupled, Decoupled
from ..core.rule import Rule
from ..filters import Identity, QuasiHyperbolic
from ..metrics import Euclid, RawMoment, Sign
from ..steps import DAdaptAverage, DAdaptSum
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class DAdaptSGD(Walker):
    """SGD whose learning rate is a lower bound d on the distance to the solution, over the first gradient's norm.

        w = lr d / norm(g_0),   r <- r + w <g, s>,   s <- s + w g,   d_new = max(d, min(2 r / norm(s), growth_rate d))
        z = x_0 - s,    x <- momentum x + (1 - momentum) z

    Weight decay is coupled, in g_0, too, where the official code forgets it. What d is: `opt.report()`; the groups'
    `effective_lr` is w. Reference: Defazio & Mishchenko, arXiv 2301.07733; dadaptation.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3))
    >>> opt = DAdaptSGD([w], momentum=0.9); w.square().sum().backward(); opt.step()
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        d0: float = 1e-6,
        growth_rate: float = float("inf"),
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "d0": d0, "growth_rate": growth_rate}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: Group) -> Rule:
        """Average of weighed gradients, Euclid, their sum, coupled decay."""
        remember = QuasiHyperbolic(group["momentum"]) if group["momentum"] else Identity()
        step = DAdaptSum(group["d0"], group["growth_rate"])
        return Rule(remember, Euclid(), step, Coupled(group["weight_decay"]), **self.precision(group))


class DAdaptAdam(Walker):
    """Adam whose learning rate is a lower bound d on the distance to the solution.

        w = lr d,    r <- b r + w <g, s / (sqrt(v) + eps)>,    m <- b1 m + (1 - b1) w g,    v <- b2 v + (1 - b2) g^2
        s <- b s + w g,    d_new = max(d, min(r / norm_1(s), growth_rate d)),    x <- x - m / (sqrt(v) + eps)

    with b = sqrt(b2). decouple: decay beside the step, x <- (1 - w weight_decay) x, else part of g.
    use_bias_correction: of m and v. Reference: Defazio & Mishchenko, arXiv 2301.07733; dadaptation.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3))
    >>> opt = DAdaptAdam([w]); w.square().sum().backward(); opt.step()
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decouple: bool = False,
        use_bias_correction: bool = False,
        d0: float = 1e-6,
        growth_rate: float = float("inf"),
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "decouple": decouple}
        numbers |= {"use_bias_correction": use_bias_correction, "d0": d0, "growth_rate": growth_rate}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: Group) -> Rule:
        """Average of weighed gradients, second moment, averages judged by their largest coordinate, decay."""
        beta1, beta2 = group["betas"]
        betas = (beta1, beta2) if group["use_bias_correction"] else None
        step = DAdaptAverage(group["d0"], group["growth_rate"], Sign(), beta2**0.5, betas)
        remember = QuasiHyperbolic(beta1) if beta1 else Identity()
        decay = (Decoupled if group["decouple"] else Coupled)(group["weight_decay"])
        return Rule(remember, RawMoment(beta2, group["eps"]), step, decay, **self.precision(group))
