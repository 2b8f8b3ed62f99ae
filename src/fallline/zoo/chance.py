"""SGD whose steps have random lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..filters import HeavyBall
from ..metrics import Euclid
from ..steps import RandomScale
from .choice import check_number
from .walking import Driven

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .walking import Walking


class RandomSGD(Driven):
    """SGD with momentum, each of whose steps is scaled by an exponential draw.

        m <- mu m + g,    theta <- theta - lr s_n m,    s_n ~ Exp(1) from seed and n

    In the mean it is SGD; the theory of non-smooth, non-convex momentum asks for the draw. Weight decay is coupled.
    Reference: Zhang & Cutkosky, arXiv 2405.09742 (the abstract was read: its regularised form is not here).

    >>> import torch
    >>> opt = RandomSGD([torch.nn.Parameter(torch.ones(2))])
    >>> print(opt.sentence(opt.param_groups[0]))
    HeavyBall(0.9) → Euclid() → RandomScale(0) → Coupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        seed: int = 0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"momentum": check_number(momentum, "momentum value"), "weight_decay": weight_decay, "seed": seed}
        super().__init__(params, lr, numbers | {"decoupled_weight_decay": False}, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Heavy ball, Euclid, random scale, coupled decay."""
        momentum = check_number(group["momentum"], "momentum value")
        step = RandomScale(group["seed"])
        return Rule(HeavyBall(momentum), Euclid(), step, self.decay(group), **self.precision(group))
