"""AEGD and relatives: gradient descent with an energy that only falls, for every lr. They hear the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Coupled, Steady
from ..core.part import Metric
from ..core.rule import Rule
from ..filters import HeavyBall, Identity
from ..metrics import Euclid, SecondMoment
from ..steps import ElementEnergy, Energy
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class AEGD(Walker):
    """Adaptive gradient descent with energy: every coordinate's steps use up an energy that it begins with.

        v = g / (2 sqrt(f + c)),   r <- r / (1 + 2 lr v^2),   theta <- theta - 2 lr r v,   r_0 = sqrt(f_0 + c)

    r falls for every lr, which bounds the whole way gone; the loss need not fall. Long runs end by themselves. c: loss
    + c stays above 0. Weight decay is part of g. Reference: Liu & Tian, arXiv 2010.05109, and its public code.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3)); opt = AEGD([w], lr=1.0)
    >>> for _ in range(9):
    ...     opt.zero_grad(); loss = w.square().sum(); loss.backward(); opt.step(loss=loss)
    >>> float(loss.detach()) < 3.0
    True
    """

    def __init__(
        self, params: Any, lr: float | Tensor = 0.1, c: float = 1.0, weight_decay: float = 0.0, **how: Unpack[Walking]
    ) -> None:
        super().__init__(params, lr, {"c": c, "weight_decay": weight_decay}, **how)

    def sentence(self, group: Group) -> Rule:
        """Scaled gradient, Euclid, each coordinate's energy, coupled decay."""
        decay = Coupled(group["weight_decay"])
        return Rule(Identity(), Euclid(), ElementEnergy(group["c"]), decay, **self.precision(group))


class AEGDM(Walker):
    """`AEGD` with momentum: m <- momentum m + v, theta <- theta - 2 lr r m, while r pays for v.

    Reference: Liu & Tian, arXiv 2203.12191, and its public code.

    >>> import torch
    >>> opt = AEGDM([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    ElementEnergy(1.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.02,
        c: float = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        super().__init__(params, lr, {"c": c, "momentum": momentum, "weight_decay": weight_decay}, **how)

    def sentence(self, group: Group) -> Rule:
        """Heavy ball of scaled gradients, Euclid, each coordinate's energy, coupled decay."""
        decay = Coupled(group["weight_decay"])
        return Rule(HeavyBall(group["momentum"]), Euclid(), ElementEnergy(group["c"]), decay, **self.precision(group))


class AEGDW(Walker):
    """`AEGD` with weight decay beside the step: theta <- (1 - lr weight_decay) theta - 2 lr r v.

    Published values of lr are .7 to .9. Reference: as `AEGD`.

    >>> import torch
    >>> opt = AEGDW([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    ElementEnergy(1.0)
    """

    def __init__(
        self, params: Any, lr: float | Tensor = 0.7, c: float = 1.0, weight_decay: float = 5e-4, **how: Unpack[Walking]
    ) -> None:
        super().__init__(params, lr, {"c": c, "weight_decay": weight_decay}, **how)

    def sentence(self, group: Group) -> Rule:
        """Scaled gradient, Euclid, each coordinate's energy, decay by lr."""
        decay = Steady(group["weight_decay"])
        return Rule(Identity(), Euclid(), ElementEnergy(group["c"]), decay, **self.precision(group))


class AEPG(Walker):
    """Preconditioned gradient descent with one energy for all: r pays for the way in the preconditioner's norm.

        v = g / (2 sqrt(f + c)),   r <- r / (1 + 2 lr v^T A v),   theta <- theta - 2 lr r A v

    metric: whose direction is A v; None is Adam's diagonal. Decay by lr, beside the step. Reference: Liu et al., arXiv
    2310.06733; this form is derived, its defaults are ours.

    >>> import torch
    >>> opt = AEPG([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    Energy(1.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        c: float = 1.0,
        beta: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        metric: Metric | None = None,
        **how: Unpack[Walking],
    ) -> None:
        self.metric = metric
        super().__init__(params, lr, {"c": c, "beta": beta, "eps": eps, "weight_decay": weight_decay}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, any metric, one energy."""
        metric = self.metric or SecondMoment(group["beta"], group["eps"])
        return Rule(Identity(), metric, Energy(group["c"]), Steady(group["weight_decay"]), **self.precision(group))
