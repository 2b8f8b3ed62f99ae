"""Prodigy: Adam that finds its learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Coupled, Decoupled
from ..core.rule import Rule
from ..filters import Identity, QuasiHyperbolic
from ..metrics import RawMoment, Sign
from ..steps import ProdigyStep
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class Prodigy(Walker):
    """Adam whose learning rate is a lower bound d on the distance to the solution, which grows as gradients agree.

        m <- b1 m + (1 - b1) d g,                v <- b2 v + (1 - b2) d^2 g^2
        r <- b3 r + lr d^2 <g, x_0 - x>,         s <- b3 s + lr d^2 g,       d_new = max(d, d_coef r / norm_1(s))
        x <- (1 - lr d weight_decay) x - lr d m / (sqrt(v) + d_new eps)

    beta3: None for sqrt(b2). decouple: decay beside the step, else part of g. use_bias_correction: of m and v; without,
    early steps are longer. safeguard_warmup: for a warm-up of lr. d_coef is what to tune, if anything; a cosine on lr
    helps. betas[0] = 0 takes d g where the official code takes d_new g. slice_p other than 1 is refused. The groups'
    `effective_lr` shows lr d, times 1 - b1^n of m; d is in `opt.report()`. Reference:
    Mishchenko & Defazio, arXiv 2306.06101; prodigyopt.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3))
    >>> opt = Prodigy([w]); w.square().sum().backward(); opt.step()
    >>> opt.line()
    'lr 1, momentum 0.9, effective lr 1e-07'
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        beta3: float | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decouple: bool = True,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        growth_rate: float = float("inf"),
        slice_p: int = 1,
        **how: Unpack[Walking],
    ) -> None:
        if slice_p != 1:
            raise ValueError(f"Invalid slice_p: {slice_p!r}; Prodigy measures on all coordinates here. Leave it at 1.")
        numbers = {"betas": betas, "beta3": beta3, "eps": eps, "weight_decay": weight_decay, "decouple": decouple}
        numbers |= {"use_bias_correction": use_bias_correction, "safeguard_warmup": safeguard_warmup}
        super().__init__(params, lr, numbers | {"d0": d0, "d_coef": d_coef, "growth_rate": growth_rate}, **how)

    def sentence(self, group: Group) -> Rule:
        """Averages from zero, the distance in the largest coordinate, decay."""
        beta1, beta2 = group["betas"]
        step = ProdigyStep(
            group["d0"],
            beta2**0.5 if group["beta3"] is None else group["beta3"],
            group["d_coef"],
            group["growth_rate"],
            Sign(),
            (beta1, beta2) if group["use_bias_correction"] else None,
            group["safeguard_warmup"],
        )
        remember = QuasiHyperbolic(beta1) if beta1 else Identity()
        decay = (Decoupled if group["decouple"] else Coupled)(group["weight_decay"])
        return Rule(remember, RawMoment(beta2, group["eps"]), step, decay, **self.precision(group))
