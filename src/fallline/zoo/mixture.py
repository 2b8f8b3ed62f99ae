"""Fixed mixtures of several memories: AggMo and AdEMAMix, the static competitors of a bank that chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..filters import HeavyBalls, TwoAverages
from ..metrics import Euclid, SecondMoment
from ..steps import Constant
from .choice import check_number
from .walking import Driven

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .walking import Walking


class AggMo(Driven):
    """The mean of several heavy balls.

        v_i <- b_i v_i + g,    theta <- theta - (lr / K) sum_i v_i

    Its effective lr is lr mean_i 1 / (1 - b_i), 37 lr for (0, .9, .99). Memory: K buffers. Weight decay is coupled.
    Reference: Lucas et al., arXiv 1804.00325. To choose among such memories instead: `SGD(momentum="auto")`.

    >>> import torch
    >>> opt = AggMo([torch.nn.Parameter(torch.ones(2))])
    >>> print(opt.sentence(opt.param_groups[0]))
    HeavyBalls((0.0, 0.9, 0.99)) → Euclid() → Constant() → Coupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: Sequence[float] = (0.0, 0.9, 0.99),
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"momenta": tuple(betas), "weight_decay": weight_decay, "decoupled_weight_decay": False}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Heavy balls, Euclid, constant step, decay."""
        balls = HeavyBalls(tuple(check_number(b, "momentum") for b in group["momenta"]))
        return Rule(balls, Euclid(), Constant(), self.decay(group), **self.precision(group))


class AdEMAMix(Driven):
    """AdamW with a second, very long memory beside the first.

        theta <- (1 - lr weight_decay) theta - lr (mhat + alpha_n l) / (sqrt(vhat) + eps)

    m of decay b1, l of decay b3, uncorrected. warmup: over how many steps alpha_n grows to alpha and the memory of l to
    b3's (`TwoAverages`); the authors take all steps of a run, 0 is at once. alpha 0 is AdamW. Memory: three buffers.
    Reference: Pagliardini et al., arXiv 2409.03137.

    >>> import torch
    >>> opt = AdEMAMix([torch.nn.Parameter(torch.ones(2))], warmup=1000)
    >>> print(opt.sentence(opt.param_groups[0]))
    TwoAverages(0.9, warmup=1000) → SecondMoment(0.999) → Constant() → Decoupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0,
        warmup: int = 0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"betas": betas, "alpha": alpha, "warmup": warmup, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Two averages, second moment, constant step, decoupled decay."""
        if len(group["betas"]) != 3:
            raise ValueError(f"Invalid betas: {group['betas']!r}; give three: short, squares, long.")
        beta1, beta2, beta3 = group["betas"]
        remember = TwoAverages(beta1, beta3, group["alpha"], group["warmup"])
        return Rule(remember, SecondMoment(beta2, group["eps"]), Constant(), self.decay(group), **self.precision(group))
