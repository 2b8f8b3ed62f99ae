"""Steps that are taken before their gradient is known, and taken back when it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.error import SlotError
from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Map, Metric


@final
@dataclass(frozen=True)
class Foresight(Map):
    """The weights also take the step that the next gradient will probably ask for (optimism, OPT-AMSGrad).

        w_n = w~_n - lr direction(h_n),    h_n = u_n + (1 - b) (p_{n+1} - g_n),    w~_{n+1} = w~_n - lr direction(u)

    u: the plain average of decay b; h: what it would be if u_n forgot g_n and took in p_{n+1} instead. p extrapolates
    the last `history` gradients of a tensor: c = argmin norm(U c)^2 + ridge tr(U^T U) norm(c)^2 with sum 1, U their
    differences. metric, around which this stands (with Euclid() in the metric's own slot), learns from g - p, what came
    as a surprise. The last look-ahead is taken back at the present lr, so w~ follows a schedule only nearly. Memory:
    the metric's as `metric.*`, `g0` .. (oldest first), `next` (p), `ahead`, all like the parameter. Reference: Wang et
    al., arXiv 1903.01435, from memory: details are uncertain, and there p extrapolates all tensors as one vector.

    >>> from fallline import MaxSecondMoment
    >>> print(Foresight(MaxSecondMoment(), 0.9))
    Foresight(MaxSecondMoment(0.999), 0.9)
    """

    metric: Metric
    beta: float
    history: int = 5
    ridge: float = 1e-6
    elementwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Metric) or self.metric.matrix:
            raise SlotError(f"Foresight needs a Metric of coordinates, such as MaxSecondMoment(), not {self.metric!r}.")
        if not 0.0 <= self.beta < 1.0 or self.history < 2 or not self.ridge >= 0.0:
            raise ValueError(f"Invalid {self}: beta lies in [0, 1), history is at least 2 and ridge not negative.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The metric's, the last gradients, the next one, and the look-ahead."""
        names = [*(f"g{i}" for i in range(self.history)), "next", "ahead"]
        inside = {f"metric.{name}": x for name, x in self.metric.memory(p).items()}
        return inside | {name: torch.zeros_like(p) for name in names}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """The metric sees g - p; g joins the others, whose place it takes in the first step; then the next p."""
        self.metric.observe(g - mem.next, mem.within("metric"), t)
        kept = [mem[f"g{i}"] for i in range(self.history)]
        for old, new in zip(kept, [*kept[1:], g], strict=True):
            each(lambda a, b, first: a.copy_(torch.where(t > 1, b, first)), old, new, g)
        each(lambda p, *gs: p.copy_(extrapolated(gs, self.ridge)), mem.next, *kept)

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """direction(u) + direction(h), less what was taken ahead the last time."""
        h = u + (mem.next - mem[f"g{self.history - 1}"]).mul(1 - self.beta)
        seen, last = mem.within("metric"), mem.ahead.mul(1.0)
        mem.ahead.copy_(self.metric.direction(h, seen, t))
        return self.metric.direction(u, seen, t) + mem.ahead - last


def extrapolated(gs: tuple[Tensor, ...], ridge: float) -> Tensor:
    """Where a sequence leads: its minimal polynomial extrapolation, regularised (oldest first)."""
    xs = torch.stack(gs).flatten(1).double()
    u = xs[1:] - xs[:-1]
    gram = u @ u.mT
    size = gram.trace()
    floor = torch.where(size > 0, size * ridge, 1.0)
    z = torch.linalg.solve_ex(gram + floor * torch.eye(len(gram)).to(gram), gram.new_ones(len(gram)))[0]
    return ((z / z.sum()) @ xs[1:]).to(gs[0].dtype).view_as(gs[0])
