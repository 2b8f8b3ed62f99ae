"""Curvature by a second gradient nearby."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.dice import signs
from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Combine
from ..core.turn import opening, pick


@final
@dataclass(frozen=True)
class Probed(Combine):
    """A second gradient at x + eps z tells the metric of the Hessian's diagonal, z random signs (Hutchinson).

        first    g at x,                     then the weights go to x + eps z
        second   h = z (g' - g) / eps,       seen by the metric;   x <- x - size direction(g)

    E[z Hz] = diag H, and for a diagonal H every h is exact, as for a quadratic loss every eps. For filter Identity(),
    which has no other memory. z is a function of seed, step, coordinate and g, so that nothing is saved and tensors of
    one shape have signs of their own; it needs the same batch twice. eps > 0: a length of weights, below the loss's
    features, above what rounding makes of gradients; weights in bfloat16 are too coarse for it. Memory: `x`, `g`, like
    the parameter. Reference: OASIS, Jahani et al., arXiv 2109.05198, with a difference for its exact product.

    >>> print(Probed())
    Probed(0.001)
    """

    eps: float = 1e-3
    seed: int = 0
    walks: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not (isinstance(self.eps, (int, float)) and self.eps > 0.0):
            raise ValueError(f"Invalid eps: {self.eps!r}; the probe lies a length > 0 from the weights.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weights and the first gradient, while the parameters hold others."""
        return {"x": p.detach().clone(), "g": torch.zeros_like(p)}

    def _signs(self, mem: Memory, t: Tensor) -> Field:
        return signs(mem.g, self.seed, ((t + 1) / 2).floor())

    def gradient(self, g: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """g, then z (g' - g) / eps."""
        return pick(opening(t), g, self._signs(mem, t) * (g - mem.g).div(self.eps))

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """The first gradient."""
        mem.g.copy_(pick(opening(t), u, mem.g))
        return mem.g

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- x + eps z, then p <- x + move."""
        mem.x.copy_(pick(opening(t), p, mem.x))
        p.copy_(mem.x + pick(opening(t), self._signs(mem, t).mul(self.eps), move))
