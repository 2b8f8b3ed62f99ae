"""O2NC: online learning turned into optimization, with one optimistic guess or two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Conversion, DoubleConversion
from ..core.part import Combine
from ..core.rule import Rule
from ..filters import Identity
from ..metrics import Euclid
from ..steps import Constant
from .twofold import Group, Twofold
from .walking import Common

if TYPE_CHECKING:
    from typing_extensions import Unpack


class O2NC(Twofold):
    """Gradients from a random point of the step that is about to be taken, which a learner has chosen.

        x <- x + D,    D <- proj(beta D - lr g),    the next g at x + s D, s uniform in [0, 1]

    beta = .9 without a ball is SGD with momentum, its gradients taken on the way; beta = 1 in a ball of `radius`, over
    all parameters, is the projected learner of the theory. Call `opt.eval()` before you evaluate or save the model, and
    `opt.train()` before you go on. Reference: Cutkosky, Mehta & Orabona, arXiv 2302.03775 (from a description).

    >>> import torch
    >>> opt = O2NC([torch.nn.Parameter(torch.ones(3))], lr=0.1)
    >>> print(opt.sentence(opt.param_groups[0]))
    Identity() → Euclid() → Constant() → Conversion(0.9)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        beta: float = 0.9,
        radius: float = float("inf"),
        seed: int = 0,
        **how: Unpack[Common],
    ) -> None:
        super().__init__(params, lr, {"beta": beta, "radius": radius, "seed": seed}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, learner."""
        return Rule(Identity(), Euclid(), Constant(), self.learner(group), **self.precision(group))

    def learner(self, group: Group) -> Combine:
        """How steps are chosen."""
        return Conversion(group["beta"], group["radius"], group["seed"])


class DoubleO2NC(O2NC):
    """`O2NC` whose learner gets a hint of its next gradient from half a step ahead: two gradients in a step.

        D <- proj(beta D - lr (h + g - h_old)),    h at x + D / 2, D the last step

    `opt.step(closure)`; the equations were written from memory and reviews of arXiv 2510.03167, with beta = 1 and a
    ball. The rest as `O2NC`.

    >>> import torch
    >>> opt = DoubleO2NC([torch.nn.Parameter(torch.ones(3))], lr=0.1)
    >>> print(opt.sentence(opt.param_groups[0]))
    Identity() → Euclid() → Constant() → DoubleConversion(1.0, radius=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        beta: float = 1.0,
        radius: float = 0.01,
        seed: int = 0,
        **how: Unpack[Common],
    ) -> None:
        super().__init__(params, lr, beta, radius, seed, **how)

    def learner(self, group: Group) -> Combine:
        """How steps are chosen."""
        return DoubleConversion(group["beta"], group["radius"], group["seed"])
