"""MoMo: Polyak's step size for momentum, in any metric. They hear the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Proximal
from ..core.part import Filter, Metric
from ..core.rule import Rule
from ..filters import EMA, Primed
from ..metrics import Euclid, SecondMoment
from ..steps import LearnedModel, TruncatedModel
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class _Model(Walker):
    """What both have in common: the same filter for gradients, losses and <g, theta>, and proximal decay."""

    def modelled(self, average: Filter, metric: Metric, group: Group) -> Rule:
        """The sentence."""
        step = (LearnedModel if group["use_fstar"] else TruncatedModel)(average, group["lb"], group["weight_decay"])
        return Rule(average, metric, step, Proximal(group["weight_decay"]), **self.precision(group))


class MoMo(_Model):
    """SGD with momentum that bounds its own steps: they end where the averaged model reaches the lower bound.

        h = avg(f_k + <g_k, theta - theta_k>),   m = avg(g_k)
        theta <- (theta - min(lr, (h - lb)_+ / norm(m)^2) m) / (1 + lr weight_decay)

    lr is only a cap: 1 may do. bias_correction: Adam's average instead of one that begins with the first gradient.
    use_fstar: the lower bound is learned, at least lb. With decay h has what decay does to the model, too. beta = 0 is
    SPS_max with c = 1. Reference: Schaipp et al., arXiv 2305.07583; momo-opt.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3)); opt = MoMo([w])
    >>> loss = w.square().sum(); loss.backward(); opt.step(loss=loss)
    >>> opt.line()
    'lr 1, effective lr 0.25'
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        weight_decay: float = 0.0,
        beta: float = 0.9,
        lb: float = 0.0,
        bias_correction: bool = False,
        use_fstar: bool = False,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"weight_decay": weight_decay, "beta": beta, "lb": lb, "use_fstar": use_fstar}
        super().__init__(params, lr, numbers | {"bias_correction": bias_correction}, **how)

    def sentence(self, group: Group) -> Rule:
        """Average, Euclid, truncated model."""
        return self.modelled((EMA if group["bias_correction"] else Primed)(group["beta"]), Euclid(), group)


class MoMoAdam(_Model):
    """Adam that bounds its own steps by the loss, in its own norm: norm(m)^2 is sum_i m_i^2 / (sqrt(v_i) + eps).

    As long as the model is far above lb it is Adam with this lr; a tenfold too large lr is caught. Arguments as for
    `MoMo`; decay is proximal, theta / (1 + lr weight_decay). Reference: Schaipp et al., arXiv 2305.07583; momo-opt.

    >>> import torch
    >>> opt = MoMoAdam([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    TruncatedModel(EMA(0.9))
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        lb: float = 0.0,
        use_fstar: bool = False,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"weight_decay": weight_decay, "betas": betas, "eps": eps, "lb": lb, "use_fstar": use_fstar}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: Group) -> Rule:
        """Average, second moment, truncated model."""
        return self.modelled(EMA(group["betas"][0]), SecondMoment(group["betas"][1], group["eps"]), group)
