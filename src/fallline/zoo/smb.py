"""SMB: stochastic model building."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Modelled
from ..core.rule import Rule
from ..filters import Identity
from ..metrics import Euclid
from ..steps import Sufficient
from .twofold import Group, Twofold
from .walking import Common

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SMB(Twofold):
    """SGD that looks where its step would end, and mends it by a model if the loss did not fall enough.

        f(x - lr g) <= f(x) - c lr norm(g)^2: the step stands;    else x <- x - lr (a g + b (g' - g)), for each tensor

    a and b in `Modelled`. Two gradients in a step, `opt.step(closure)`, whose closure returns the loss of the same
    batch; where the step stands the second was not needed. eta: what of the step a linear loss leaves. The lr is a
    first guess that may be too large (published: 1, and .5 in benchmarks); its optional schedule is left out.
    Reference: Birbil et al., arXiv 2111.07058, and the official code.

    >>> import torch
    >>> opt = SMB([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]))
    Identity() → Euclid() → Sufficient(0.1) → Modelled(0.99)
    """

    def __init__(
        self, params: Any, lr: float | Tensor = 0.5, eta: float = 0.99, c: float = 0.1, **how: Unpack[Common]
    ) -> None:
        super().__init__(params, lr, {"eta": eta, "c": c}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, Armijo's condition, a model."""
        return Rule(Identity(), Euclid(), Sufficient(group["c"]), Modelled(group["eta"]), **self.precision(group))
