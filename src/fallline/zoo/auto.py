"""Auto: nothing to set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from ..combines import Decoupled, IterateAverage, Polynomial, Weights
from ..core.chooser import Chooser
from ..core.part import Metric, Step
from ..core.rule import Rule
from ..metrics import MatchRMS, Spectral
from ..steps import AnchoredStep
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

POLAR, ANCHORED, LATE = MatchRMS(Spectral()), AnchoredStep(), Polynomial(3)


class Auto(Routed):
    """No learning rate, no schedule, no momentum to set: `fallline.Auto(model)`.

        hidden matrices     EMA(.8) -> polar factor of RMS .2 -> AnchoredStep -> polynomial average
        all other weights   EMA(.8) -> second moment(.95)     -> AnchoredStep -> polynomial average

    One step size for all, found from how far the weights have come and how well steps are aimed. The parameters hold
    the weights that move; `with opt.averaged():` or `opt.follow(model)` lays in their average, which is what to
    evaluate and keep. lr: a factor around 1, for schedulers. metric, step, average: other parts, to see what each is
    worth (docs/suite.md). Reference: ours. Its constants were chosen on one half of the suite; some of them were first
    seen on problems of the author's own that resemble the other half (LOG.md).

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Auto(net)
    >>> with opt.averaged(): _ = net(torch.ones(1, 4))
    """

    picky: ClassVar[bool] = False

    def __init__(
        self,
        params: nn.Module | Any,
        lr: float | Tensor = 1.0,
        momentum: Momentum = 0.8,
        weight_decay: float = 0.0,
        *,
        metric: Metric = POLAR,
        step: Step = ANCHORED,
        average: Weights | None = LATE,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric, self.size, self.late = metric, step, average
        numbers = {"momentum": momentum, "nesterov": False, "weight_decay": weight_decay, **REST}
        engine.setdefault("rest_betas", (0.8, 0.95))
        super().__init__(params, lr, numbers, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor."""
        return self._ended(self.rule_of(self.unbiased(group), self.metric, group), group)

    def rest(self, group: Group) -> Rule:
        """Average, second moment."""
        return self._ended(super().rest(group), group)

    def _ended(self, rule: Rule, group: Group) -> Rule:
        into, step = Decoupled(group["weight_decay"]), self.size
        if rule.matrix and isinstance(step, Chooser) and step.judge:
            step = replace(step, judge=None)  # type: ignore[call-arg]  # matrices are measured in a norm of their own
        return replace(rule, step=step, combine=IterateAverage(into, self.late) if self.late else into)
