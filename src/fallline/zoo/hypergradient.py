"""Hypergradient descent: the learning rate follows the gradient, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Coupled
from ..core.part import Filter, Metric, Step
from ..core.rule import Rule
from ..filters import EMA, HeavyBall, Identity, Nesterov
from ..metrics import Euclid, SecondMoment
from ..steps import Hypergradient, HypergradientRatio
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class _Hyper(Walker):
    """What both have in common: the step, coupled decay."""

    multiplicative: bool

    def learned(self, remember: Filter, metric: Metric, group: Group) -> Rule:
        """The sentence."""
        step: Step = (HypergradientRatio if self.multiplicative else Hypergradient)(group["hypergrad_lr"])
        return Rule(remember, metric, step, Coupled(group["weight_decay"]), **self.precision(group))


class SGDHD(_Hyper):
    """SGD whose learning rate rises while gradients agree with the last direction: lr <- lr + hypergrad_lr <g, u_prev>.

    multiplicative: lr <- lr (1 + hypergrad_lr cos(g, u_prev)), which asks for a larger one (1e-3 or so). With momentum
    u is the momentum. hypergrad_lr = 0 is SGD. Reference: Baydin et al., arXiv 1703.04782, and its public code, which
    adds tensor by tensor within a step.

    >>> import torch
    >>> opt = SGDHD([torch.nn.Parameter(torch.ones(3))], lr=0.1)
    >>> print(opt.sentence(opt.param_groups[0]).step)
    Hypergradient(1e-06)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        hypergrad_lr: float = 1e-6,
        *,
        multiplicative: bool = False,
        **how: Unpack[Walking],
    ) -> None:
        self.multiplicative = multiplicative
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | {"hypergrad_lr": hypergrad_lr}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, heavy ball or Nesterov's, Euclid, a learned step."""
        mu = group["momentum"]
        remember = (Nesterov if group["nesterov"] else HeavyBall)(mu) if mu else Identity()
        return self.learned(remember, Euclid(), group)


class AdamHD(_Hyper):
    """Adam whose learning rate rises while gradients agree with the last direction, m / (sqrt(v) + eps).

    Arguments and reference: `SGDHD`; hypergrad_lr = 0 is Adam.

    >>> import torch
    >>> opt = AdamHD([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    Hypergradient(1e-08)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        hypergrad_lr: float = 1e-8,
        *,
        multiplicative: bool = False,
        **how: Unpack[Walking],
    ) -> None:
        self.multiplicative = multiplicative
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "hypergrad_lr": hypergrad_lr}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: Group) -> Rule:
        """Average, second moment, a learned step."""
        return self.learned(EMA(group["betas"][0]), SecondMoment(group["betas"][1], group["eps"]), group)
