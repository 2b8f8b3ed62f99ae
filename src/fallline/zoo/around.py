"""What goes around other optimizers: averages, slow weights, and a scale that finds itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..combines import Decoupled, IterateAverage, OuterScale, Polynomial, SlowWeights, Weights
from ..combines.mechanic import BETAS
from ..core.chooser import Chooser
from ..core.descent import Descent
from ..core.part import Combine
from ..core.section import Section
from .free import free, warmed
from .wrapped import Wrapped

LATE = Polynomial()


class ScheduleFree(Wrapped):
    """Any optimizer without a schedule and without a horizon: its steps move z, and its gradients are taken near x.

        y = (1 - beta) z + beta x,    z <- z + (the base's step at y),    x <- x + w_n / (sum_k w_k) (z - x)

    w_n = n^r (max_k size_k)^weight_lr_power; where the base's step size is not one number for all, the power counts as
    0. The base's decay is taken at y. Leave it little momentum of its own: beta does that work. The parameters hold y;
    for the rest see `ScheduleFreeAdamW`, which is this around AdamW(betas=(0, b2)). beta = 0: x beside, as `Averages`.
    Reference: Defazio et al., arXiv 2405.15682.

    >>> import torch
    >>> from fallline import Adam
    >>> opt = ScheduleFree(Adam([torch.nn.Parameter(torch.ones(3))], betas=(0.5, 0.99)), warmup_steps=10)
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.5) → SecondMoment(0.99) → Warmup(10) → PrimalAverage(0.9, combine=Coupled(0.0))
    """

    def __init__(
        self,
        base: Descent,
        beta: float = 0.9,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        warmup_steps: int = 0,
    ) -> None:
        self.beta, self.r, self.weight_lr_power, self.warmup_steps = beta, r, weight_lr_power, warmup_steps
        super().__init__(base)

    def divide(self, section: Section) -> Iterator[Section]:
        """All of it, after a warm-up."""
        step, given = section.rule.step, section.rule.combine
        alone = isinstance(step, Chooser) and step.scope != "global"
        decay = given.decay if isinstance(given, Decoupled) and self.beta else 0.0
        combine = free(
            self.beta, decay, self.r, 0.0 if alone else self.weight_lr_power, Decoupled() if decay else given
        )
        yield replace(section, rule=replace(section.rule, step=warmed(self.warmup_steps, step), combine=combine))


class Averages(Wrapped):
    """Any optimizer, with an average of its weights beside: training is as without it, and the average is what you get.

        x <- x + c_n (w - x),     c_n from `weights`: Polynomial(8), Exponential(0.999), Uniform(after), ...

    The parameters hold w; evaluate and save the model inside `with opt.averaged():`, or call `opt.follow(model)` once
    (docs/averages.md). Decay, manifolds and all else are the base's. State: a copy of the weights more.

    >>> import torch
    >>> from fallline import AdamW, Exponential
    >>> opt = Averages(AdamW([torch.nn.Parameter(torch.ones(3))]), Exponential(0.999))
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → SecondMoment(0.999) → Constant() → IterateAverage(Decoupled(0.01), weights=Exponential(0.999))
    """

    def __init__(self, base: Descent, weights: Weights = LATE) -> None:
        self.weights = weights
        super().__init__(base)

    def divide(self, section: Section) -> Iterator[Section]:
        """All of it."""
        yield _around(section, IterateAverage(section.rule.combine, self.weights))


class Lookahead(Wrapped):
    """Any optimizer whose weights return, every k steps, to slow ones that follow them a part of the way.

        every k steps:   phi <- phi + alpha (w - phi),   w <- phi

    The parameters hold w, and phi is what is evaluated: see `Averages`. State: a copy of the weights more.
    Reference: Zhang et al., arXiv 1907.08610.

    >>> import torch
    >>> from fallline import AdamW
    >>> opt = Lookahead(AdamW([torch.nn.Parameter(torch.ones(3))]), k=5)
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → SecondMoment(0.999) → Constant() → SlowWeights(5, combine=Decoupled(0.01))
    """

    def __init__(self, base: Descent, k: int = 6, alpha: float = 0.5) -> None:
        self.k, self.alpha = k, alpha
        super().__init__(base)

    def divide(self, section: Section) -> Iterator[Section]:
        """All of it."""
        yield _around(section, SlowWeights(self.k, self.alpha, section.rule.combine))


class Mechanic(Wrapped):
    """Any optimizer with a scale that finds itself: the base's lr is a factor, of which only the schedule matters.

        w = w_0 + S sum_k u_k,    u_k the base's steps, and S what gamblers bet on by <sum_k u_k, g>: see `OuterScale`

    One S for all parameters, in `group["effective_lr"]` times lr. State: two copies of the weights more.
    Reference: Cutkosky et al., arXiv 2306.00144.

    >>> import torch
    >>> from fallline import AdamW
    >>> opt = Mechanic(AdamW([torch.nn.Parameter(torch.ones(3))], lr=1.0, weight_decay=0.0))
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → SecondMoment(0.999) → Constant() → OuterScale(1e-08)
    """

    def __init__(
        self,
        base: Descent,
        s_init: float = 1e-8,
        s_decay: float = 0.01,
        betas: tuple[float, ...] = BETAS,
        eps: float = 1e-8,
    ) -> None:
        self.s_init, self.s_decay, self.betas, self.eps = s_init, s_decay, tuple(betas), eps
        super().__init__(base)

    def divide(self, section: Section) -> Iterator[Section]:
        """All of it."""
        scale = OuterScale(self.s_init, self.s_decay, self.betas, self.eps, section.rule.combine)
        yield _around(section, scale)


def _around(section: Section, combine: Combine) -> Section:
    return replace(section, rule=replace(section.rule, combine=combine))
