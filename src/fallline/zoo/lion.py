"""Lion, with torch's own arguments; its interpolation may choose itself.

`betas[0]` is a number (then it is the published algorithm), a sequence of candidates, or "auto" (the recommended bank).
By keyword: bank="probe" (candidates on a sample, no second buffer) or "full"; selector, who chooses;
write, how results are rounded into bfloat16 weights: "nearest", "stochastic" or "kahan"; state_dtype, what memory and
arithmetic have at least; delay, on_nonfinite and chunk_bytes as in `Descent`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..combines import Decoupled
from ..core.chooser import Selector
from ..core.descent import Descent
from ..core.rule import Rule
from ..core.write import Write
from ..filters import QuasiHyperbolic
from ..metrics import Sign
from ..steps import Constant
from .choice import Betas, Choice, refuse_in_group, split_betas
from .precision import precision

Group = dict[str, Any]


class Lion(Descent):
    """The sign of an interpolated momentum; with candidates, an interpolation that chooses itself.

        u = b1 m + (1 - b1) g,    theta <- (1 - lr weight_decay) theta - lr sign(u),    m <- b2 m + (1 - b2) g

    As a sentence: QuasiHyperbolic(b2, b1 / b2), then Sign; b2 > 0. Candidates are values of b1 on the same average.
    Reference: Chen et al., arXiv 2302.06675.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> opt = Lion([w], lr=0.1); w.square().sum().backward(); opt.step(); w.data
    tensor([0.9000, 0.9000])
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-4,
        betas: Betas = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        bank: str = "probe",
        selector: Selector | None = None,
        write: str | Write | None = None,
        state_dtype: torch.dtype = torch.float32,
        delay: int = 0,
        on_nonfinite: str = "skip",
        chunk_bytes: int | None = None,
    ) -> None:
        self.choice, self.precision = Choice(bank, selector), precision(write, state_dtype)
        super().__init__(
            params,
            lr=lr,
            defaults=split_betas({"betas": betas}) | {"weight_decay": weight_decay},
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
        """Interpolated momentum, sign, constant step, decoupled decay."""
        beta1, beta2 = group["betas"]
        if beta2 == 0:
            raise ValueError(
                "Invalid beta parameter at index 1: 0; without a memory this is signSGD: Rule(Identity(), Sign(), ...)."
            )
        bank = [QuasiHyperbolic(beta2, b / beta2) for b in group["candidates"] or (beta1,)]
        remember = self.choice.filter(bank) if group["candidates"] else bank[0]
        return Rule(remember, Sign(), Constant(), Decoupled(group["weight_decay"]), **self.precision)
