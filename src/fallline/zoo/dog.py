"""DoG, L-DoG and DoWG: SGD whose learning rate is the distance come, over the gradients met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Coupled, IterateAverage, Polynomial
from ..core.part import Step
from ..core.rule import Rule
from ..filters import Identity
from ..metrics import Euclid
from ..steps import DoGStep, DoWGStep
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class _Distance(Walker):
    """The gradient, a step from distances, decay as part of the loss."""

    def step_of(self, group: Group) -> Step:
        """The step."""
        raise NotImplementedError

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, distance, coupled decay, an average beside."""
        decay, gamma = Coupled(group["weight_decay"]), group["average"]
        combine = decay if gamma is None else IterateAverage(decay, Polynomial(gamma))
        return Rule(Identity(), Euclid(), self.step_of(group), combine, **self.precision(group))


class DoG(_Distance):
    """Distance over gradients: SGD without a learning rate to find.

        r_n = max(reps_rel (1 + norm(x_0)), max_{k<=n} norm(x_k - x_0))
        x <- x - lr r_n / sqrt(eps + sum_{k<=n} norm(g_k)^2) g_n

    reps_rel: 1e-6; 1e-4 with BatchNorm. init_eta: a first step size instead. lr stays 1. Weight decay is coupled. Norms
    are over all groups, where the official package takes each group's. The paper evaluates an average of the weights,
    since steps are too long at the end: average=8 keeps it beside them (`with opt.averaged():`). Reference: Ivgi et
    al., arXiv 2302.12022; dog-optimizer.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3))
    >>> opt = DoG([w]); print(opt.sentence(opt.param_groups[0]))
    Identity() → Euclid() → DoGStep(1e-06) → Coupled(0.0)
    """

    scope = "global"

    def __init__(
        self,
        params: Any,
        reps_rel: float = 1e-6,
        lr: float | Tensor = 1.0,
        weight_decay: float = 0.0,
        eps: float = 1e-8,
        init_eta: float | None = None,
        average: float | None = None,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"reps_rel": reps_rel, "weight_decay": weight_decay, "eps": eps, "init_eta": init_eta}
        super().__init__(params, lr, numbers | {"average": average}, **how)

    def step_of(self, group: Group) -> Step:
        """Distance over gradients."""
        return DoGStep(group["reps_rel"], group["eps"], self.scope, first=group["init_eta"])


class LDoG(DoG):
    """DoG for every tensor by itself: r, x_0 and the sum are each tensor's own. Arguments and reference: `DoG`.

    >>> import torch
    >>> opt = LDoG([torch.nn.Parameter(torch.ones(3))])
    >>> opt.param_groups[0]["reps_rel"]
    1e-06
    """

    scope = "parameter"


class DoWG(_Distance):
    """Distance over weighted gradients: DoG with longer steps, because gradients count by the distance they met at.

        v <- v + r_n^2 norm(g)^2,     x <- x - lr r_n^2 / sqrt(eps + v) g,     r_n as for DoG

    reps_rel sets r_0, which the paper leaves free, as DoG does. Reference: Khaled et al., arXiv 2305.16284.

    >>> import torch
    >>> w = torch.nn.Parameter(torch.ones(3))
    >>> opt = DoWG([w]); w.square().sum().backward(); opt.step()
    """

    def __init__(
        self,
        params: Any,
        reps_rel: float = 1e-6,
        lr: float | Tensor = 1.0,
        weight_decay: float = 0.0,
        eps: float = 0.0,
        average: float | None = None,
        **how: Unpack[Walking],
    ) -> None:
        numbers = {"reps_rel": reps_rel, "weight_decay": weight_decay, "eps": eps, "average": average}
        super().__init__(params, lr, numbers, **how)

    def step_of(self, group: Group) -> Step:
        """Distance over weighted gradients."""
        return DoWGStep(group["reps_rel"], group["eps"])
