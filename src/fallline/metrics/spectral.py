"""The largest singular value as norm: Muon's metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, count, each, tensors_of
from ..core.memory import Memory
from ..core.part import Ball
from ..core.pile import piled
from .polar import AUTO, Polar


@final
@dataclass(frozen=True)
class Spectral(Ball):
    """norm(W) = the largest singular value, dual(G) = their sum, direction(G) = U V^T for G = U S V^T.

    Every matrix of a stack `[..., m, n]` for itself. polar: how U V^T is computed: by default nearly, and as fast as
    this machine can (docs/polar.md); SVD() exactly. norm and dual are exact in any case. Memory: none. Units: lr is a
    spectral length per step. Reference: Bernstein & Newhouse, arXiv 2409.20325; Muon, K. Jordan 2024.

    >>> from fallline.core.memory import Memory
    >>> Spectral().direction(torch.diag(torch.tensor([3.0, 2.0])).double(), Memory({}), torch.tensor(1.0)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    polar: Polar = AUTO
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """U V^T."""
        return piled(self.polar, u) if self.polar.piles else each(self.polar, u)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """max sigma, over all matrices of a stack."""
        return torch.stack([torch.linalg.matrix_norm(x, 2).max() for x in tensors_of(w)]).double()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum of sigma."""
        return torch.stack([torch.linalg.matrix_norm(x, "nuc").sum() for x in tensors_of(g)]).double()

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)
