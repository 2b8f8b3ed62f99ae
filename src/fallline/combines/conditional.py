"""Conditional gradients: the weights are averaged with a corner of a ball, so that they stay in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Combine


@final
@dataclass(frozen=True)
class FrankWolfe(Combine):
    """A share of the way from the weights to the ball's best point: W <- (1 - eta) W + eta rho (-d), eta = the lr.

    With norm(d) <= 1 and eta in [0, 1] it is a convex combination: norm(W) <= max(norm(W_0), rho) for ever. It is
    decoupled decay 1 / rho with steps eta rho. A zero move shrinks the weights by eta. rho > 0: the ball's radius, in
    units of the metric's norm. Memory: none. Reference: Frank & Wolfe 1956; Scion, Pethick et al., arXiv 2502.07529.

    >>> import torch
    >>> p, t = torch.ones(1), torch.tensor(1.0)
    >>> FrankWolfe(3.0).enter(p, torch.tensor([-0.5]), 0.5, Memory({}), t); p
    tensor([-1.])
    """

    radius: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.radius, (int, float)) or not 0.0 < self.radius < float("inf"):
            raise ValueError(
                f"Invalid radius: {self.radius!r}; a ball has a radius > 0, in units of the metric's norm."
            )

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- p - size p + radius move."""
        p.add_(move.mul(self.radius) - p.mul(size))
