"""U-DoG and UniXGrad: accelerated by a second gradient in each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import UDoGExtragradient, UniXGradient
from ..core.rule import Rule
from ..filters import Identity
from ..metrics import Euclid
from ..steps import Constant
from .twofold import Group, Twofold
from .walking import Common

if TYPE_CHECKING:
    from typing_extensions import Unpack


class UDoG(Twofold):
    """Accelerated DoG: no learning rate, and two gradients in a step, `opt.step(closure)`.

        y <- y - alpha eta g(w),    eta = distance come / sqrt(sum alpha^2 norm(g(w) - g(z))^2 + max norm(g(z))^2)

    with w and z averages of all that came, in full in `UDoGExtragradient`. Gradients are taken at z and w: call
    `opt.eval()` before you evaluate or save the model, and `opt.train()` before you go on. reps_rel: the first
    distance, as a share of 1 + norm(x_0). The paper's stabilisers are simplified. For large batches. lr stays 1.
    Reference: Kreisler et al., arXiv 2404.00666.

    >>> import torch
    >>> opt = UDoG([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]))
    Identity() → Euclid() → Constant() → UDoGExtragradient(1e-06)
    """

    def __init__(self, params: Any, lr: float | Tensor = 1.0, reps_rel: float = 1e-6, **how: Unpack[Common]) -> None:
        super().__init__(params, lr, {"reps_rel": reps_rel}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, extragradient."""
        return Rule(Identity(), Euclid(), Constant(), UDoGExtragradient(group["reps_rel"]), **self.precision(group))


class UniXGrad(Twofold):
    """Universal extragradient: accelerated whether the loss is smooth or not, given how far the solution is.

        y <- y - t eta g(w),    eta = 2 D / sqrt(1 + sum t^2 norm(g(w) - g(z))^2)

    in full in `UniXGradient`. Two gradients in a step, and `opt.eval()` as for `UDoG`. diameter: D; the weights stay
    within D / sqrt(2) of where they began, so rather ten times too large than too small. lr stays 1. Reference: Kavis
    et al., arXiv 1910.13857.

    >>> import torch
    >>> opt = UniXGrad([torch.nn.Parameter(torch.ones(3))], diameter=2.0)
    >>> print(opt.sentence(opt.param_groups[0]))
    Identity() → Euclid() → Constant() → UniXGradient(2.0)
    """

    def __init__(self, params: Any, lr: float | Tensor = 1.0, diameter: float = 1.0, **how: Unpack[Common]) -> None:
        super().__init__(params, lr, {"diameter": diameter}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, extragradient."""
        return Rule(Identity(), Euclid(), Constant(), UniXGradient(group["diameter"]), **self.precision(group))
