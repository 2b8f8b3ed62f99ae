"""Scion: every role has its norm, and a ball of its own radius."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Decoupled, FrankWolfe
from ..core.part import Metric
from ..core.role import KINDS, Role
from ..core.rule import Rule
from ..metrics import Conv, FanIn, FanRatio, NewtonSchulz, Rows, Sign, Spectral, VectorRMS, Weighted
from ..steps import Constant
from .choice import Momentum
from .routed import Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

Ball = tuple[Metric, float]  # a norm and a radius
KELLER = NewtonSchulz()
HIDDEN: Ball = FanRatio(Spectral(KELLER)), 50.0  # from RMS to RMS
VECTOR: Ball = VectorRMS(), 50.0
ROW: Ball = FanIn(Rows(2), 0.5), 500.0  # from one token to RMS
SIGN: Ball = FanIn(Sign(), -1.0), 3000.0  # sign / inputs
BALLS: dict[str, Ball] = {
    **dict.fromkeys(KINDS, VECTOR),
    **dict.fromkeys(("hidden", "expert", "attention", "gate", "lora_a", "lora_b", "router"), HIDDEN),
    **dict.fromkeys(("embedding", "position"), ROW),
    **dict.fromkeys(("head", "tied"), SIGN),
    "conv": (Conv(Spectral(KELLER)), 50.0),
    "depthwise": (Rows(2), 50.0),  # every filter for itself
}


class Scion(Routed):
    """Conditional gradients in the norm of each parameter's role; there is no Adam in it.

        m <- b m + (1 - b) g,    constrained:  W <- (1 - lr) W - lr rho d(m),    else:  W <- W - lr rho d(m)

    constrained: weights stay in their balls, norm(W) <= max(norm(W_0), rho), and lr lies in [0, 1]. balls: (norm,
    radius) by kind of role, for those that shall differ from `BALLS`. The radii of hidden matrices and heads are
    Scion's for nanoGPT; that of untied embeddings is our reading, ten times the hidden ones'. A row of an embedding
    moves as far for a trace of old momentum as for a gradient; `Rows(2, floor=0.1)` prevents it. Reference: arXiv
    2502.07529.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Embedding(9, 8), torch.nn.Linear(8, 2))
    >>> opt = Scion(net, lr=0.01, balls={"bias": (VectorRMS(), 10.0)})
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2.0**-12,
        momentum: Momentum = 0.9,
        *,
        nesterov: bool = False,
        constrained: bool = True,
        balls: Mapping[str, Ball] | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        if strange := set(balls or {}) - KINDS.keys():
            raise ValueError(f"Invalid balls: no role is {sorted(strange)}; choose among {', '.join(KINDS)}.")
        self.balls, self.constrained = {**BALLS, **(balls or {})}, constrained
        super().__init__(params, lr, {"momentum": momentum, "nesterov": nesterov}, **engine)

    def matrix(self, group: Group) -> Rule:
        """The rule of hidden matrices."""
        return self.speak(group, Role("hidden"))

    def suits(self, role: Role) -> bool:
        """It has a norm for every role."""
        return True

    def speak(self, group: Group, role: Role) -> Rule:
        """Average, the role's norm, and a way into its ball or along it."""
        metric, radius = self.balls[role.kind]
        metric = replace(metric, view=role.view) if isinstance(metric, Conv) else metric
        end = FrankWolfe(radius) if self.constrained else Decoupled()
        norm = metric if self.constrained else Weighted(metric, 1 / radius)
        rule = Rule(self.average(group), norm, Constant(), end, **self.precision)
        return replace(rule, view=role.view) if rule.matrix else rule
