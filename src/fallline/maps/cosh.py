"""AuON's contraction, which hardly contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Map


@final
@dataclass(frozen=True)
class Cosh(Map):
    """A matrix over the root mean square of the hyperbolic cosine of its entries (AuON): nearly the matrix itself.

        r = rms(cosh(gamma U / norm(U)))        U <- U / (r + eps)

    r is one number for the matrix. The arguments' squares sum to gamma^2, so 1 <= r <= sqrt(1 + (cosh(gamma)^2 - 1) /
    N) for N entries, and typically r - 1 = gamma^2 / (2 N): 3e-4 for 64 x 64. Memory: none. Homogeneous.
    Reference: the public code of AuON (ryyzn9).

    >>> from fallline.core.memory import Memory
    >>> float(Cosh()(torch.ones(64, 64), Memory({}), torch.tensor(1.0))[0, 0])
    0.9997
    """

    gamma: float = 1.5
    eps: float = 1e-8
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """U / (r + eps)."""
        return each(lambda x: x / (self.contraction(x) + self.eps), u)

    def contraction(self, x: Tensor) -> Tensor:
        """r of every matrix, [..., 1, 1]."""
        length = x.norm(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        return torch.cosh(x / length * self.gamma).square().mean((-2, -1), keepdim=True).sqrt()
