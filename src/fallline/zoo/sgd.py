"""SGD, with torch's own arguments; its momentum may choose itself.

`momentum` is a number (then it is torch's algorithm), a sequence of candidates, or "auto" (the recommended bank).
By keyword: bank="probe" (candidates on a sample, no second buffer) or "full"; selector, who chooses; scale, how loud
the choice speaks; write, how results are rounded into bfloat16 weights: "nearest", "stochastic" or "kahan";
state_dtype, what memory and arithmetic have at least; delay, on_nonfinite and chunk_bytes as in `Descent`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..combines import Coupled
from ..core.chooser import Scale, Selector
from ..core.descent import Descent
from ..core.part import Filter
from ..core.rule import Rule
from ..core.write import Write
from ..filters import GainOf, HeavyBall, Identity, Nesterov, QuasiHyperbolic
from ..metrics import Euclid
from ..steps import Constant
from .choice import Choice, Momentum, check_number, refuse_in_group, split
from .precision import precision

Group = dict[str, Any]


class SGD(Descent):
    """Stochastic gradient descent with heavy-ball or Nesterov momentum; with candidates, momentum that chooses itself.

        m <- mu m + (1 - dampening) (g + weight_decay theta),    theta <- theta - lr m          (Nesterov: theta - lr
        (g + mu m))

    With candidates the output has the gain of a heavy ball of momentum `reference`, so that a learning rate found with
    momentum 0.9 keeps its effective size; the candidate equal to `reference` is exactly torch's algorithm. It does not
    keep its stability: on a curvature c, lr c < 2 (1 + mu) / (1 - mu) (1 - reference), which is 3.8 at mu = .9, .6 at
    .5 and .2 at 0. Where lr was near the limit of .9, start with a fifth of it, or take scale=UnitPower().
    Reference: torch.optim.SGD; Lee & Lee, arXiv 2512.06370 for the choice.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(100))
    >>> opt = SGD([w], lr=0.1, momentum="auto")
    >>> w.square().sum().backward(); opt.step(); opt.param_groups[0]["candidates"]
    (0.5, 0.9, 0.99)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: Momentum = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        reference: float = 0.9,
        bank: str = "probe",
        selector: Selector | None = None,
        scale: Scale | None = None,
        write: str | Write | None = None,
        state_dtype: torch.dtype = torch.float32,
        delay: int = 0,
        on_nonfinite: str = "skip",
        chunk_bytes: int | None = None,
    ) -> None:
        self.choice, self.precision = Choice(bank, selector, scale), precision(write, state_dtype)
        shown, candidates = split(momentum, "momentum value")
        defaults = {"momentum": shown, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(
            params,
            lr=lr,
            defaults=defaults | {"reference": check_number(reference, "reference"), "candidates": candidates},
            maximize=maximize,
            foreach=foreach,
            fused=fused,
            delay=delay,
            on_nonfinite=on_nonfinite,
            chunk_bytes=chunk_bytes,
        )
        self.choice.refuse_idle(momentum, self.param_groups)

    def prepare(self, group: Group) -> Group:
        """Split a group's own momentum into the number shown and the candidates."""
        refuse_in_group(self, group)
        if "momentum" in group and "candidates" not in group:
            group["momentum"], group["candidates"] = split(group["momentum"], "momentum value")
        return group

    def sentence(self, group: Group) -> Rule:
        """Heavy ball, Euclid, constant step, coupled decay."""
        return Rule(self._filter(group), Euclid(), Constant(), Coupled(group["weight_decay"]), **self.precision)

    def _filter(self, group: Group) -> Filter:
        mu, nesterov, dampening = group["momentum"], group["nesterov"], group["dampening"]
        if nesterov and (dampening or not (mu or group["candidates"])):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        if group["candidates"]:
            if dampening:
                raise ValueError(
                    f"Invalid dampening: {dampening}; a momentum that chooses itself is scaled by `scale` instead."
                )
            reference = (Nesterov if nesterov else HeavyBall)(group["reference"])
            bank = [QuasiHyperbolic(b, b if nesterov else 1.0) for b in group["candidates"]]
            return self.choice.filter(bank, GainOf(reference))
        return Identity() if mu == 0 else Nesterov(mu) if nesterov else HeavyBall(mu, dampening)
