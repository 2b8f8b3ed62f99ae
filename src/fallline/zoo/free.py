"""Schedule-free optimizers: an average of the weights in place of a learning rate schedule, and no horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Decoupled, IterateAverage, PrimalAverage, Sizes
from ..core.part import Combine, Metric, Step
from ..core.rule import Rule
from ..filters import Identity
from ..metrics import Euclid, SecondMoment
from ..steps import Constant, Warmup
from .walking import Driven, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


def free(beta: float, decay: float, r: float, power: float, combine: Combine | None = None) -> Combine:
    """Schedule-free's way into the weights; at beta = 0 steps are taken as without it, with the average beside."""
    if beta == 0:
        return IterateAverage(Decoupled(decay) if combine is None else combine, Sizes(r, power))
    return PrimalAverage(beta, decay, Sizes(r, power), Decoupled() if combine is None else combine)


def warmed(steps: int, step: Step | None = None) -> Step:
    """The step, after a warm-up of so many steps; 0 for none."""
    step = Constant() if step is None else step
    return step if steps == 0 else Warmup(steps, step)


class ScheduleFreeAdamW(Driven):
    """AdamW without a schedule and without a horizon: no first moment, gradients at y, and x is what you want.

        y = (1 - b1) z + b1 x,     v <- b2 v + (1 - b2) g(y)^2,     z <- z - lr_n (g(y) / (sqrt(vhat) + eps) + decay y)
        x <- x + w_n / (sum_k w_k) (z - x),     w_n = n^r (max_k lr_k)^weight_lr_power,     lr_n = lr min(1, n / warmup)

    The parameters hold y: evaluate and save the model inside `with opt.averaged():`, or call `opt.follow(model)` once
    (docs/averages.md). lr: 1 to 10 times AdamW's. warmup_steps: the paper warms up over the first 2 to 5 % of a run.
    Reference: Defazio et al., arXiv 2405.15682, and the official code.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3))
    >>> opt = ScheduleFreeAdamW([w], lr=0.1); w.square().sum().backward(); opt.step()
    >>> with opt.averaged():
    ...     print(w.data)
    tensor([0.9000, 0.9000, 0.9000])
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.0025,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "warmup_steps": warmup_steps}
        super().__init__(params, lr, numbers | {"r": r, "weight_lr_power": weight_lr_power}, **how)

    def sentence(self, group: Group) -> Rule:
        """No filter, second moment, warm-up, average."""
        beta1, beta2 = group["betas"]
        return _sentence(group, SecondMoment(beta2, group["eps"]), beta1, self.precision(group))


class ScheduleFreeSGD(Driven):
    """SGD without a schedule and without a horizon; momentum is how near the average x gradients are taken.

        y = (1 - b) z + b x,     z <- z - lr_n (g(y) + decay y),     x <- x + w_n / (sum_k w_k) (z - x)

    w and lr_n as in `ScheduleFreeAdamW`, and so is what the parameters hold. lr: 10 to 50 times SGD's.
    Reference: Defazio et al., arXiv 2405.15682, and the official code.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3))
    >>> opt = ScheduleFreeSGD([w], lr=0.1); w.square().sum().backward(); opt.step()
    >>> with opt.averaged():
    ...     print(w.data)
    tensor([0.8000, 0.8000, 0.8000])
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "warmup_steps": warmup_steps}
        super().__init__(params, lr, numbers | {"r": r, "weight_lr_power": weight_lr_power}, **how)

    def sentence(self, group: Group) -> Rule:
        """No filter, Euclid, warm-up, average."""
        return _sentence(group, Euclid(), group["momentum"], self.precision(group))


def _sentence(group: Group, metric: Metric, beta: float, ending: dict[str, Any]) -> Rule:
    combine = free(beta, group["weight_decay"], group["r"], group["weight_lr_power"])
    return Rule(Identity(), metric, warmed(group["warmup_steps"]), combine, **ending)
