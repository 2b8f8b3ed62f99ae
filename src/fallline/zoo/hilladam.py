"""Hill-ADAM: a demonstration, not a recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Best
from ..core.rule import Rule
from ..filters import Identity
from ..maps import Hill
from ..metrics import Euclid
from ..steps import Constant
from .twofold import Group, Twofold
from .walking import Common

if TYPE_CHECKING:
    from typing_extensions import Unpack


class HillAdam(Twofold):
    """Adam that climbs out of the minima it finds and keeps the best weights it met (experimental).

        descend until |L - L_old| < flat, forget all, climb until |L - L_old| < flat, forget all, descend ...

    In losses above `high` it descends, below `low` it climbs. It needs `opt.step(closure)` or `opt.step(loss=loss)`,
    and a loss without noise. `opt.eval()` lays the best weights into the parameters: do so before you evaluate or save
    the model, and `opt.train()` before you go on. Reference: Hill-ADAM, public code, without its decay, which does
    nothing.

    >>> import torch
    >>> opt = HillAdam([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]))
    Identity() → Euclid() → Hill((0.9, 0.999)) → Constant() → Best(Decoupled(0.0))
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        flat: float = 1e-4,
        high: float = 200.0,
        low: float = -1e4,
        **how: Unpack[Common],
    ) -> None:
        numbers = {"climb_betas": tuple(betas), "eps": eps, "flat": flat, "high": high, "low": low}
        super().__init__(params, lr, numbers, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, Adam with a sign, what was best."""
        hill = Hill(group["climb_betas"], group["eps"], group["flat"], group["high"], group["low"])
        return Rule(Identity(), Euclid(), Constant(), Best(), after=hill, **self.precision(group))
