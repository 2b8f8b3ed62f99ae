"""The quasi-hyperbolic family: the gradient and its average, mixed; two numbers for many published momenta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.rule import Rule
from ..filters import QuasiEMA, QuasiHyperbolic
from ..metrics import Euclid, QuasiMoment, SecondMoment
from ..steps import Constant
from .choice import check_number, check_pair
from .walking import Driven

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .walking import Walking


class QHM(Driven):
    """Momentum in which the gradient of now has a say of its own.

        m <- b m + (1 - b) g,    theta <- theta - lr [(1 - nu) g + nu m]

    b: momentum. nu = 0: SGD; nu = 1: heavy ball, nu = b: Nesterov's, both of lr (1 - b). Accelerated SGD, Lessard's
    family and PID controllers are others of its numbers (tests/zoo/test_vector.py). The authors advise nu .7, b .999.
    Weight decay is coupled unless decoupled_weight_decay. Reference: Ma & Yarats, arXiv 1810.06801, and qhoptim.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> opt = QHM([w], lr=0.1); w.sum().backward(); opt.step(); w.data
    tensor([0.9699])
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        momentum: float = 0.999,
        nu: float = 0.7,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"momentum": check_number(momentum, "momentum value"), "nu": nu, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | {"decoupled_weight_decay": decoupled_weight_decay}, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Quasi-hyperbolic average, Euclid, constant step, decay."""
        remember = QuasiHyperbolic(check_number(group["momentum"], "momentum value"), group["nu"])
        return Rule(remember, Euclid(), Constant(), self.decay(group), **self.precision(group))


class QHAdam(Driven):
    """Adam in both of whose averages the gradient of now has a say of its own.

        theta <- theta - lr [(1 - nu1) g + nu1 mhat] / (sqrt((1 - nu2) g^2 + nu2 vhat) + eps)

    nus = (1, 1) is Adam; the paper's examples: nus (.8, 1), betas (.99, .999). Weight decay is coupled unless
    decoupled_weight_decay. Reference: Ma & Yarats, arXiv 1810.06801, and qhoptim.

    >>> import torch
    >>> opt = QHAdam([torch.nn.Parameter(torch.ones(2))], nus=(0.8, 0.9))
    >>> print(opt.sentence(opt.param_groups[0]))
    QuasiEMA(0.9, nu=0.8) → QuasiMoment(0.999, 0.9) → Constant() → Coupled(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        nus: tuple[float, float] = (1.0, 1.0),
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        eps: float = 1e-8,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"betas": betas, "nus": nus, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, lr, numbers | {"decoupled_weight_decay": decoupled_weight_decay}, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Quasi-hyperbolic average and square, constant step, decay."""
        (beta1, beta2), (nu1, nu2), eps = check_pair(group["betas"]), group["nus"], group["eps"]
        metric = SecondMoment(beta2, eps) if nu2 == 1 else QuasiMoment(beta2, nu2, eps)
        return Rule(QuasiEMA(beta1, nu1), metric, Constant(), self.decay(group), **self.precision(group))
