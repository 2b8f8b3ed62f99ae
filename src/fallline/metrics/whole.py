"""Norms of a whole tensor of any shape, which keep the gradient's own direction: normalised gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, count, each, tensors_of
from ..core.memory import Memory
from ..core.part import Ball
from .power import climb


@final
@dataclass(frozen=True)
class Frobenius(Ball):
    """The Euclidean length as norm and as dual: direction(g) = g / norm(g), and 0 for 0.

    Of a whole tensor of any shape; `Schatten(2)` is the same of each matrix of a stack. Memory: none. Units: lr is a
    Euclidean length per step. Reference: normalised SGD; arXiv 2409.20325.

    >>> from fallline.core.memory import Memory
    >>> Frobenius().direction(torch.tensor([3.0, 4.0]), Memory({}), torch.tensor(1.0)).tolist()
    [0.6000000238418579, 0.800000011920929]
    """

    elementwise: ClassVar[bool] = False

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u / norm(u)."""
        return each(_unit, u)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """sqrt(sum w_i^2)."""
        return _lengths(w)

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """The same."""
        return _lengths(g)

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)


@final
@dataclass(frozen=True)
class VectorRMS(Ball):
    """The root mean square as norm: norm(b) = sqrt(mean b_i^2), dual(g) = sqrt(N) norm_2(g), direction of RMS 1.

    Of a whole tensor of any shape with N coordinates; Scion's norm of biases (BiasRMS). 0 for 0. Memory: none. Units:
    lr is the root mean square of a step. Reference: arXiv 2409.20325; Scion, arXiv 2502.07529.

    >>> from fallline.core.memory import Memory
    >>> VectorRMS().direction(torch.tensor([2.0, -2.0]), Memory({}), torch.tensor(1.0))
    tensor([ 1., -1.])
    """

    elementwise: ClassVar[bool] = False

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """sqrt(N) u / norm_2(u)."""
        return each(lambda x: _unit(x) * x.numel() ** 0.5, u)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """sqrt(mean w_i^2)."""
        return _lengths(w) / count(w).sqrt()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sqrt(N) norm_2(g)."""
        return _lengths(g) * count(g).sqrt()

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)


def _unit(x: Tensor) -> Tensor:
    return climb(x, 2.0, tuple(range(x.dim())))


def _lengths(x: Field) -> Tensor:
    return torch.stack([torch.linalg.vector_norm(one) for one in tensors_of(x)]).double()
