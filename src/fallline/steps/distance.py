"""How far the weights have come, over how steep the way was: DoG and DoWG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser, check_scope, check_start
from ..core.field import Field, over
from ..core.memory import Memory, numbers
from ..core.part import Metric, Step


@dataclass(frozen=True)
class _Distance(Step, Chooser):
    """What steps from distances have in common: r_n = max(start (1 + norm(x_0)), max_k norm(x_k - x_0)), and a sum."""

    start: float = 1e-6
    eps: float = 1e-8
    scope: str = "global"
    judge: Metric | None = None
    measures: ClassVar[bool] = True
    as_long: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_scope(self.scope)
        check_start(self.start, "r_0 is a share > 0 of 1 + norm(x_0)")
        if not 0.0 <= self.eps < torch.inf:
            raise ValueError(f"Invalid eps: {self.eps!r}; what the sum holds before any gradient is >= 0.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Where the weights began."""
        return {"begin": p.detach().clone()}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`r` (0: no step yet), `sum`, and `eta`, the step size."""
        return numbers({"r": 0.0, "sum": self.eps, "eta": 0.0}, device)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """norm(x - x_0)^2, dual(g)^2 and norm(x_0)^2."""
        assert aim.p is not None
        return torch.cat([aim.squares(aim.p - mem.begin), aim.dual_squares(g), aim.squares(mem.begin)], -1)

    def reach(self, far: Tensor, least: Tensor, mem: Memory) -> None:
        """r <- max(r, norm(x - x_0)), from its square; least: r_0."""
        mem.r.copy_(torch.maximum(torch.where(mem.r > 0, mem.r, least), far.sqrt()))

    def scale(self, mem: Memory) -> Field | float:
        """eta."""
        return mem.eta


@final
@dataclass(frozen=True)
class DoGStep(_Distance):
    """Distance over gradients: no learning rate to set.

        r_n = max_{k<=n} norm(x_k - x_0), at least r_0 = start (1 + norm(x_0))
        size = lr r_n / sqrt(eps + sum_{k<=n} dual(g_k)^2)

    Euclid() is the published norm. Any other whose direction is as long as the gradient will do, SecondMoment() or
    OwnDual(ball): squares add up over tensors and shards, so the norm of all is the root of the sum of squares. (The
    largest of the layers' norms does not add up, and is not offered.) Raw gradients count, whatever the filter. Scope
    "global": one r and one sum for all parameters with such a step and one kind of metric, across groups; "parameter":
    each its own (L-DoG). Memory: `begin` (x_0), like the parameter; `r`, `sum`, `eta`, once. Units: start has none,
    lr is a factor around 1. first: a first step size instead of r_0. A step that vanishes slowly: average the weights,
    as the paper does. Reference: Ivgi et al., arXiv 2302.12022.

    >>> print(DoGStep(scope="parameter"))
    DoGStep(1e-06, scope='parameter')
    """

    first: float | None = None

    def __post_init__(self) -> None:
        _Distance.__post_init__(self)
        if self.first is not None and not 0.0 < self.first < torch.inf:
            raise ValueError(f"Invalid first: {self.first!r}; a step size > 0 to leave the place with, or None.")

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """r <- max(r, norm(x - x_0)), sum <- sum + dual(g)^2, eta <- r / sqrt(sum)."""
        far, steep, begin = measured.unbind(-1)
        self.reach(far, begin.sqrt().add(1.0).mul(self.start if self.first is None else 0.0), mem)
        mem.sum.add_(steep)
        eta = over(mem.r, mem.sum.sqrt())
        mem.eta.copy_(eta if self.first is None else torch.where(mem.r > 0, eta, self.first))


@final
@dataclass(frozen=True)
class DoWGStep(_Distance):
    """Distance over weighted gradients: those count more that came after a long way.

        r_n as for `DoGStep`,      size = lr r_n^2 / sqrt(eps + sum_{k<=n} r_k^2 dual(g_k)^2)

    Never shorter than DoG's, since r_k <= r_n: what was summed while r was small counts less. Norms, scope, memory and
    units are `DoGStep`'s. The paper leaves r_0 free; here it is DoG's. eps: in units of r^2 dual^2, 0
    in the paper. Reference: Khaled et al., arXiv 2305.16284.

    >>> print(DoWGStep())
    DoWGStep(1e-06)
    """

    eps: float = 0.0

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """r <- max(r, norm(x - x_0)), sum <- sum + r^2 dual(g)^2, eta <- r^2 / sqrt(sum)."""
        far, steep, begin = measured.unbind(-1)
        self.reach(far, begin.sqrt().add(1.0).mul(self.start), mem)
        mem.sum.add_(mem.r.square() * steep)
        mem.eta.copy_(over(mem.r.square(), mem.sum.sqrt()))
