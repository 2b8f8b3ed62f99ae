"""Auto: nothing to set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from ..combines import Averaged, Decoupled, Polynomial
from ..core.part import Combine, Metric, Step
from ..core.rule import Rule
from ..filters import EMA
from ..metrics import MatchRMS, SecondMoment, Spectral
from ..steps import AnchoredStep
from .routed import Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

POLAR, ANCHORED, LATE = MatchRMS(Spectral()), AnchoredStep(), Averaged(Decoupled(), Polynomial(8))


class Auto(Routed):
    """No learning rate, no schedule, no momentum to set: `fallline.Auto(model)`.

        hidden matrices     EMA(.8) -> polar factor of RMS .2 -> AnchoredStep -> polynomial average
        all other weights   EMA(.8) -> second moment(.95)     -> AnchoredStep -> polynomial average

    One step size for all, found from how far the weights have come and how well steps are aimed. The parameters hold
    the weights that move; `with opt.averaged():` or `opt.follow(model)` lays in their average, which is what to
    evaluate and keep. lr: a factor around 1, for schedulers. metric, step, combine: other parts, to see what each is
    worth (docs/suite.md). Reference: ours; chosen on one half of the suite, reported on the other.

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
        momentum: float = 0.8,
        weight_decay: float = 0.0,
        *,
        metric: Metric = POLAR,
        step: Step = ANCHORED,
        combine: Combine = LATE,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric, self.size, self.combine = metric, step, combine
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "rest_betas": (momentum, 0.95), "rest_eps": 1e-8}
        super().__init__(params, lr, numbers, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor."""
        return self._speak(EMA(group["momentum"]), self.metric, group)

    def rest(self, group: Group) -> Rule:
        """Average, second moment."""
        (beta1, beta2), eps = group["rest_betas"], group["rest_eps"]
        return self._speak(EMA(beta1), SecondMoment(beta2, eps), group)

    def _speak(self, remember: EMA, metric: Metric, group: Group) -> Rule:
        return self.rule_of(remember, metric, group, step=self.size, combine=self.combine)
