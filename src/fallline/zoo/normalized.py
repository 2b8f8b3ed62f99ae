"""SGD with steps that know the gradient's length: normalised, or by the sum of all lengths so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Decoupled
from ..core.part import Metric
from ..core.rule import Rule
from ..filters import EMA, Identity
from ..metrics import Euclid
from ..steps import NormPower, NormSum
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class NormalizedSGD(Walker):
    """Gradient descent whose steps grow less than the gradient: theta <- theta - lr m / N'(m)^beta, m = avg(g).

    For losses whose curvature grows with the gradient, where plain gradient descent flies away. beta: 0 plain, 1
    normalised. metric: whose dual norm N' is, Euclid unless given. scope: one length for all ("global") or each
    tensor's own ("parameter"). Reference: Chen et al., arXiv 2303.02854; with momentum, Cutkosky & Mehta, arXiv
    2002.03305 (without its look ahead).

    >>> import torch
    >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0])); opt = NormalizedSGD([w], lr=1.0)
    >>> w.square().sum().backward(); opt.step(); [round(x, 4) for x in w.tolist()]
    [2.4, 3.2]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        beta: float = 1.0,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        scope: str = "global",
        metric: Metric | None = None,
        **how: Unpack[Walking],
    ) -> None:
        self.scope, self.metric = scope, metric or Euclid()
        super().__init__(params, lr, {"beta": beta, "momentum": momentum, "weight_decay": weight_decay}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient or average, any metric, a power of its dual norm."""
        remember = EMA(group["momentum"]) if group["momentum"] else Identity()
        step = NormPower(group["beta"], self.scope)
        return Rule(remember, self.metric, step, Decoupled(group["weight_decay"]), **self.precision(group))


class AdaGradNormSGD(Walker):
    """SGD with one step size that shrinks as gradients pile up: theta <- theta - lr g / sqrt(b0^2 + sum norm(g)^2).

    The same steps whatever the loss's unit, once b0 is forgotten; the first has length lr. metric and scope as for
    `NormalizedSGD`. Reference: Ward et al., arXiv 1806.01811; the default of lr is ours.

    >>> import torch
    >>> opt = AdaGradNormSGD([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    NormSum(1e-06)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        b0: float = 1e-6,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        scope: str = "global",
        metric: Metric | None = None,
        **how: Unpack[Walking],
    ) -> None:
        self.scope, self.metric = scope, metric or Euclid()
        super().__init__(params, lr, {"b0": b0, "momentum": momentum, "weight_decay": weight_decay}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient or average, any metric, the sum of its dual norms."""
        remember = EMA(group["momentum"]) if group["momentum"] else Identity()
        step = NormSum(group["b0"], self.scope)
        return Rule(remember, self.metric, step, Decoupled(group["weight_decay"]), **self.precision(group))
