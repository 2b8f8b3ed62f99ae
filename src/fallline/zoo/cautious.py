"""AdamW and Lion whose directions are held against the gradient of now: cautious, Grams and MGUP."""

from __future__ import annotations

from dataclasses import replace

from ..core.rule import Rule
from ..maps import Cautious, GradientSign, TopAligned
from .adam import AdamW, Group
from .lion import Lion


class CautiousAdamW(AdamW):
    """AdamW that moves only coordinates whose direction the gradient confirms (C-AdamW).

        phi = 1[d g > 0],    theta <- (1 - lr weight_decay) theta - lr d phi / max(mean(phi), .001)

    d: AdamW's direction; arguments as for `AdamW`, a momentum that chooses itself included. The masked direction is
    scaled up, so an lr tuned for AdamW counts 1.5 to 2 times. Reference: Liang et al., arXiv 2411.16085.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> opt = CautiousAdamW([w], lr=0.1, weight_decay=0.0); w[0].backward(); opt.step(); w.data
    tensor([0.8000, 1.0000])
    """

    def sentence(self, group: Group) -> Rule:
        """AdamW's, masked."""
        return replace(super().sentence(group), after=Cautious())


class CautiousLion(Lion):
    """Lion that moves only coordinates whose direction the gradient confirms (C-Lion).

        phi = 1[d g > 0],    theta <- (1 - lr weight_decay) theta - lr d phi / max(mean(phi), .001)

    d: Lion's direction, a sign; arguments as for `Lion`. Reference: Liang et al., arXiv 2411.16085.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> opt = CautiousLion([w], lr=0.1); w[0].backward(); opt.step(); w.data
    tensor([0.8000, 1.0000])
    """

    def sentence(self, group: Group) -> Rule:
        """Lion's, masked."""
        return replace(super().sentence(group), after=Cautious())


class GramsAdamW(AdamW):
    """AdamW that goes as far as its averages say, in the direction of the gradient's signs (Grams).

        theta <- (1 - lr weight_decay) theta - lr sign(g) |mhat| / (sqrt(vhat) + eps)

    Arguments as for `AdamW`. Reference: Cao et al., arXiv 2412.17107.

    >>> import torch
    >>> opt = GramsAdamW([torch.nn.Parameter(torch.ones(2))])
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → SecondMoment(0.999) → GradientSign() → Constant() → Decoupled(0.01)
    """

    def sentence(self, group: Group) -> Rule:
        """AdamW's, with the gradient's signs."""
        return replace(super().sentence(group), after=GradientSign())


class MGUPAdamW(AdamW):
    """AdamW whose best aligned half of coordinates moves twice as far, and the others half as far (MGUP).

        theta <- (1 - lr weight_decay) theta - lr s d,    s = 2 for the floor(N / 2) largest d g of a tensor, else 1/2

    Arguments as for `AdamW`. Reference: arXiv 2606.17526, from a third party's sheet: the paper was not read.

    >>> import torch
    >>> opt = MGUPAdamW([torch.nn.Parameter(torch.ones(2))])
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → SecondMoment(0.999) → TopAligned(0.5) → Constant() → Decoupled(0.01)
    """

    def sentence(self, group: Group) -> Rule:
        """AdamW's, scaled by rank."""
        return replace(super().sentence(group), after=TopAligned())
