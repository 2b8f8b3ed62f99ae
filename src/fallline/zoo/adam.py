"""Adam and AdamW, with torch's own arguments; the first average may choose its own memory.

`betas[0]` is a number (then it is torch's algorithm), a sequence of candidates, or "auto" (the recommended bank).
By keyword: bank="probe" (candidates on a sample, no second buffer) or "full"; selector, who chooses; scale, how loud
the choice speaks; write, how results are rounded into bfloat16 weights: "nearest", "stochastic" or "kahan";
state_dtype, what memory and arithmetic have at least; delay, on_nonfinite and chunk_bytes as in `Descent`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..combines import Coupled, Decoupled
from ..core.chooser import Scale, Selector
from ..core.descent import Descent
from ..core.part import Combine
from ..core.rule import Rule
from ..core.write import Write
from ..filters import EMA
from ..metrics import MaxSecondMoment, SecondMoment
from ..steps import Constant
from .choice import Betas, Choice, refuse_in_group, split_betas
from .precision import precision

Group = dict[str, Any]


class Adam(Descent):
    """Exponential averages of the gradient and of its square; with candidates, the first chooses its own memory.

        m <- b1 m + (1 - b1) g,    v <- b2 v + (1 - b2) g^2,    theta <- theta - lr mhat / (sqrt(vhat) + eps)

    Weight decay is coupled (part of g) unless decoupled_weight_decay. amsgrad: v never falls (`MaxSecondMoment`, one
    buffer more; arXiv 1904.09237).
    Reference: Kingma & Ba, arXiv 1412.6980; torch.optim.Adam; Lee & Lee, arXiv 2512.06370 for the choice.

    >>> import torch
    >>> opt = Adam([torch.nn.Parameter(torch.ones(100))])
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → SecondMoment(0.999) → Constant() → Coupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
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
        defaults = {"eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        defaults["decoupled_weight_decay"] = decoupled_weight_decay
        super().__init__(
            params,
            lr=lr,
            defaults=split_betas({"betas": betas}) | defaults,
            maximize=maximize,
            foreach=foreach,
            fused=fused,
            delay=delay,
            on_nonfinite=on_nonfinite,
            chunk_bytes=chunk_bytes,
        )
        self.choice.refuse_idle(betas[0], self.param_groups)

    def prepare(self, group: Group) -> Group:
        """Split a group's own betas into the numbers shown and the candidates."""
        refuse_in_group(self, group)
        return split_betas(group)

    def sentence(self, group: Group) -> Rule:
        """EMA, second moment or its maximum, constant step, decay."""
        beta1, beta2 = group["betas"]
        remember = self.choice.filter(group["candidates"]) if group["candidates"] else EMA(beta1)
        decay: Combine = (Decoupled if group["decoupled_weight_decay"] else Coupled)(group["weight_decay"])
        metric = (MaxSecondMoment if group["amsgrad"] else SecondMoment)(beta2, group["eps"])
        return Rule(remember, metric, Constant(), decay, **self.precision)


class AdamW(Adam):
    """Adam with weight decay beside the step: theta <- (1 - lr weight_decay) theta - lr mhat / (sqrt(vhat) + eps).

    Everything else is `Adam`'s. Reference: Loshchilov & Hutter, arXiv 1711.05101; torch.optim.AdamW.

    >>> import torch
    >>> opt = AdamW([torch.nn.Parameter(torch.ones(100))], betas=("auto", 0.999))
    >>> opt.param_groups[0]["candidates"], opt.param_groups[0]["betas"]
    ((0.5, 0.9, 0.99), (0.5, 0.999))
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        bank: str = "probe",
        selector: Selector | None = None,
        scale: Scale | None = None,
        write: str | Write | None = None,
        state_dtype: torch.dtype = torch.float32,
        delay: int = 0,
        on_nonfinite: str = "skip",
        chunk_bytes: int | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            fused=fused,
            decoupled_weight_decay=True,
            bank=bank,
            selector=selector,
            scale=scale,
            write=write,
            state_dtype=state_dtype,
            delay=delay,
            on_nonfinite=on_nonfinite,
            chunk_bytes=chunk_bytes,
        )
