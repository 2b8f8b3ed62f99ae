"""Weights with orthonormal columns: a tangent step, and the nearest such matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Combine


@final
@dataclass(frozen=True)
class Stiefel(Combine):
    """Matrices with W^T W = I, or W W^T = I where they are wider than tall (SPEL).

        the metric sees  G - W sym(W^T G),  which is tangent,      W <- polar(W - lr D),      sym(X) = (X + X^T) / 2

    The first step puts the weights there, whatever they were; begin with `torch.nn.init.orthogonal_`. A zero move
    leaves weights that are there, up to rounding. The polar factor of the retraction is exact. Memory: none. Reference:
    SPEL, arXiv 2601.21487, from a digest.

    >>> p = torch.eye(3, 2); t = torch.tensor(1.0)
    >>> Stiefel().enter(p, torch.randn(3, 2), 0.1, Memory({}), t); torch.allclose(p.T @ p, torch.eye(2), atol=1e-5)
    True
    """

    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """G - W sym(W^T G)."""
        return each(_tangent, u, p)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- polar(p + move)."""
        p.copy_(each(polar, p + move))


def polar(x: Tensor) -> Tensor:
    """U V^T of x = U S V^T."""
    u, _, vt = torch.linalg.svd(x, full_matrices=False)
    return u @ vt


def _tangent(g: Tensor, w: Tensor) -> Tensor:
    if w.shape[-2] < w.shape[-1]:
        return _tangent(g.mT, w.mT).mT
    inside = w.mT @ g
    return g - w @ (inside + inside.mT).mul(0.5)
