"""The metric that the graph of the loss induces: a smooth clipping of the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Steady
from ..core.rule import Rule
from ..filters import EMA
from ..metrics import Euclid, SecondMoment
from ..steps import InducedLogStep, InducedStep
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

FORMS = ("plain", "log", "rms")


class InducedMetric(Walker):
    """SGD with momentum whose steps are measured along the graph of the loss: shorter where that is steep.

        theta <- (1 - lr weight_decay) theta - lr m / (1 + s),    m, s: unbiased averages of g and xi norm(g)^2

    form: "plain"; "log", the graph of log(loss), m f / (f^2 + s), which hears the loss; "rms", around a second moment
    of decay beta_rms, with its norm. xi = 0 is SGD with momentum, or Adam. One number for all groups. Reference: "The
    Optimiser Hidden in Plain Sight" and its public code.

    >>> import torch
    >>> opt = InducedMetric([torch.nn.Parameter(torch.ones(3))], form="rms")
    >>> print(opt.sentence(opt.param_groups[0]).step)
    InducedStep(0.1)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.1,
        momentum: float = 0.9,
        xi: float = 0.1,
        beta: float = 0.8,
        weight_decay: float = 0.0,
        *,
        form: str = "plain",
        beta_rms: float = 0.99,
        eps: float = 1e-8,
        **how: Unpack[Walking],
    ) -> None:
        if form not in FORMS:
            raise ValueError(f"Invalid form: {form!r}; choose one of {', '.join(FORMS)}.")
        self.form = form
        numbers = {"momentum": momentum, "xi": xi, "beta": beta, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | {"beta_rms": beta_rms, "eps": eps}, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Average, Euclid or second moment, a damped step, decay by lr."""
        metric = SecondMoment(group["beta_rms"], group["eps"]) if self.form == "rms" else Euclid()
        step = (InducedLogStep if self.form == "log" else InducedStep)(group["xi"], group["beta"])
        return Rule(EMA(group["momentum"]), metric, step, Steady(group["weight_decay"]), **self.precision(group))
