"""Adam's relatives with torch's arguments: another cost for each coordinate, or another average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.part import Metric
from ..core.rule import Rule
from ..filters import EMA, NesterovEMA
from ..metrics import FadingPeak, Rectified, SecondMoment, Surprise
from ..steps import Constant
from .choice import check_pair
from .walking import Driven

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .walking import Walking

Pair = tuple[float, float]


class _Relative(Driven):
    """Adam's average, another cost, a constant step."""

    def cost(self, group: dict[str, Any]) -> Metric:
        """What a coordinate costs."""
        raise NotImplementedError

    def sentence(self, group: dict[str, Any]) -> Rule:
        """EMA, the cost, constant step, decay."""
        beta1, _ = check_pair(group["betas"])
        return Rule(EMA(beta1), self.cost(group), Constant(), self.decay(group), **self.precision(group))


class AdaMax(_Relative):
    """Adam in the limit of high powers: the largest gradient counts, and fades.

        m <- b1 m + (1 - b1) g,    n <- max(b2 n, |g| + eps),    theta <- theta - lr mhat / n

    Weight decay is coupled. Reference: Kingma & Ba, arXiv 1412.6980; torch.optim.Adamax.

    >>> import torch
    >>> opt = AdaMax([torch.nn.Parameter(torch.ones(2))])
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → FadingPeak(0.999) → Constant() → Coupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: Pair = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "decoupled_weight_decay": False}
        super().__init__(params, lr, numbers, **how)

    def cost(self, group: dict[str, Any]) -> Metric:
        """A fading peak."""
        return FadingPeak(group["betas"][1], group["eps"])


class NAdam(Driven):
    """Adam with Nesterov's look ahead, whose momentum warms up.

        theta <- theta - lr [(1 - mu_n) / (1 - P_n) g + mu_{n+1} / (1 - P_{n+1}) m] / (sqrt(vhat) + eps),
        mu_n = b1 (1 - .96^(momentum_decay n) / 2),    P_n = mu_1 ... mu_n

    Weight decay is coupled unless decoupled_weight_decay. Reference: Dozat 2016; torch.optim.NAdam.

    >>> import torch
    >>> opt = NAdam([torch.nn.Parameter(torch.ones(2))])
    >>> print(opt.sentence(opt.param_groups[0]))
    NesterovEMA(0.9) → SecondMoment(0.999) → Constant() → Coupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: Pair = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay}
        numbers["decoupled_weight_decay"] = decoupled_weight_decay
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Nesterov's average, second moment, constant step, decay."""
        beta1, beta2 = check_pair(group["betas"])
        remember = NesterovEMA(beta1, group["momentum_decay"])
        return Rule(remember, SecondMoment(beta2, group["eps"]), Constant(), self.decay(group), **self.precision(group))


class RAdam(_Relative):
    """Adam that takes plain momentum steps until its squares are known, and warms up from there.

        theta <- theta - lr mhat r_n sqrt(1 - b2^n) / (sqrt(v) + eps) if rho_n > 5, else theta - lr mhat

    r_n and rho_n: see `Rectified`. Weight decay is coupled unless decoupled_weight_decay. Reference: Liu et al., arXiv
    1908.03265; torch.optim.RAdam.

    >>> import torch
    >>> opt = RAdam([torch.nn.Parameter(torch.ones(2))])
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → Rectified(0.999) → Constant() → Coupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: Pair = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | {"decoupled_weight_decay": decoupled_weight_decay}, **how)

    def cost(self, group: dict[str, Any]) -> Metric:
        """The rectified second moment."""
        return Rectified(group["betas"][1], group["eps"])


class AdaBelief(_Relative):
    """Adam that divides by how far gradients are from what was expected of them.

        m <- b1 m + (1 - b1) g,    s <- b2 s + (1 - b2) (g - m)^2 + eps,
        theta <- (1 - lr weight_decay) theta - lr mhat / (sqrt(shat) + eps)

    Keeps three buffers, one more than the original: the metric has its own m (`Surprise`). Without the rectification
    that the official package turns on. Reference: Zhuang et al., arXiv 2010.07468.

    >>> import torch
    >>> opt = AdaBelief([torch.nn.Parameter(torch.ones(2))])
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → Surprise(0.9) → Constant() → Decoupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: Pair = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        super().__init__(params, lr, {"betas": betas, "eps": eps, "weight_decay": weight_decay}, **how)

    def cost(self, group: dict[str, Any]) -> Metric:
        """The surprise."""
        beta1, beta2 = group["betas"]
        return Surprise(beta1, beta2, group["eps"])
