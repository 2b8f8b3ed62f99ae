"""Polyak's step size, with and without momentum: SPS, ALI-G, ALR-SMAG, ALR-HB, MomSPS. They hear the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Coupled, Decoupled, Inertia
from ..core.rule import Rule
from ..filters import HeavyBall, Identity
from ..metrics import Euclid
from ..steps import MovingPolyak, Polyak, SmoothPolyak
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class SPS(Walker):
    """Stochastic Polyak step sizes: SGD that goes as far as its linear model says that the loss can fall.

        theta <- theta - min(lr_n, (f - lb)_+ / (c (norm(g)^2 + eps))) g,      lr_n = gamma^(1 / batches) size_{n-1}

    lr starts the cap; n_batches_per_epoch=None keeps it (SPS_max, where any lr from 1 to 1000 will do if the model can
    fit every batch). `opt.step(closure)` or `opt.step(loss=loss)`. eps is per c here. maximize: f is minus the loss,
    so with lb=0 a loss above 0 moves nothing, and -lb is the most that it can be. All weights lie on one device.
    Reference: Loizou et al., arXiv 2002.10542, and its public code.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3)); opt = SPS([w])
    >>> loss = w.square().sum(); loss.backward(); opt.step(loss=loss); w.data.tolist()
    [0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        c: float = 0.5,
        lb: float = 0.0,
        gamma: float = 2.0,
        n_batches_per_epoch: int | None = 500,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"c": c, "lb": lb, "eps": eps, "gamma": gamma, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | {"n_batches_per_epoch": n_batches_per_epoch}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, Polyak's step, smoothed or not."""
        numbers, batches = (group["c"], group["lb"], group["eps"]), group["n_batches_per_epoch"]
        step = SmoothPolyak(*numbers, growth=group["gamma"] ** (1 / batches)) if batches else Polyak(*numbers)
        return Rule(Identity(), Euclid(), step, Coupled(group["weight_decay"]), **self.precision(group))


class AliG(Walker):
    """Adaptive learning rates for interpolation with gradients: theta <- theta - min(lr, f / (norm(g)^2 + eps)) g.

    lr bounds the step size, and a loss of 0 is taken to be in reach. Its momentum is not here. Weight decay is part of
    g and not of the loss, where the paper projects on a ball instead. Reference: Berrada et al., arXiv 1906.05661.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3)); opt = AliG([w], lr=10.0)
    >>> loss = w.square().sum(); loss.backward(); opt.step(loss=loss)
    >>> opt.line()
    'lr 10, effective lr 0.25'
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.1,
        eps: float = 1e-5,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        super().__init__(params, lr, {"eps": eps, "weight_decay": weight_decay}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, Polyak's step."""
        step, decay = Polyak(1.0, 0.0, group["eps"]), Coupled(group["weight_decay"])
        return Rule(Identity(), Euclid(), step, decay, **self.precision(group))


class ALRSMAG(Walker):
    """Polyak's step size on the momentum: moving averaged gradients with an adaptive learning rate.

        d <- momentum d + g,    eta = min(lr, (f - lb)_+ / (c norm(d)^2)),    theta <- (1 - eta decay) theta - eta d

    Reference: Wang et al., arXiv 2305.12939; defaults from a public implementation.

    >>> import torch
    >>> opt = ALRSMAG([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    Polyak(1.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.1,
        momentum: float = 0.9,
        c: float = 1.0,
        lb: float = 0.0,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"momentum": momentum, "c": c, "lb": lb, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: Group) -> Rule:
        """Heavy ball, Euclid, Polyak's step, decay by the size found."""
        step, decay = Polyak(group["c"], group["lb"]), Decoupled(group["weight_decay"])
        return Rule(HeavyBall(group["momentum"]), Euclid(), step, decay, **self.precision(group))


class ALRHB(Walker):
    """Polyak's step size for the heavy ball: what is best after the momentum has moved the weights.

        eta = min(lr, ((f - lb)_+ / c + momentum <g, theta - theta_prev>)_+ / norm(g)^2)
        theta <- theta - eta g + momentum (theta - theta_prev)

    Reference: Wang et al., arXiv 2305.12939; derived, consistent with its abstract. Where the bracket is negative eta
    is 0.

    >>> import torch
    >>> opt = ALRHB([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    MovingPolyak(1.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.1,
        momentum: float = 0.9,
        c: float = 1.0,
        lb: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        super().__init__(params, lr, {"momentum": momentum, "c": c, "lb": lb}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, a step that knows the momentum after it."""
        step = MovingPolyak(group["c"], group["lb"], mu=group["momentum"])
        return Rule(Identity(), Euclid(), step, Inertia(group["momentum"]), **self.precision(group))


class MomSPS(Walker):
    """Polyak's step size for each gradient, damped, and then momentum: MomSPS_max.

        eta = (1 - momentum) min(lr, (f - lb)_+ / (c norm(g)^2))
        theta <- theta - eta g + momentum (theta - theta_prev)

    The damping is what keeps it stable. Reference: Oikonomou & Loizou, arXiv 2406.04142, and its public code; the
    defaults of momentum and lr are uncertain.

    >>> import torch
    >>> opt = MomSPS([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    Polyak(0.4)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        c: float = 0.4,
        lb: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        super().__init__(params, lr, {"momentum": momentum, "c": c, "lb": lb}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, Polyak's step, damped momentum of the weights."""
        mu = group["momentum"]
        return Rule(Identity(), Euclid(), Polyak(group["c"], group["lb"]), Inertia(mu, mu), **self.precision(group))
