"""The interface of all polar factors, and what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from ...core.field import over
from ...core.part import Part


class Polar(Part):
    """polar(X) = U V^T for X = U S V^T, exactly or nearly, of every matrix of a stack `[..., m, n]`."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """The factor, shaped and typed like x; 0 for a matrix of zeros."""

    @property
    def piles(self) -> bool:
        """Whether matrices of equal shape may be piled up for it, which may change the last bits."""
        return True


def lying(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """f for matrices no taller than wide, on any: polar(X^T) = polar(X)^T. Typed like x."""
    tall = x.shape[-2] > x.shape[-1]
    y = f(x.mT if tall else x)
    return (y.mT if tall else y).to(x.dtype)


def unit(x: Tensor) -> Tensor:
    """x over its largest entry, so that no square over- or underflows; 0 stays 0."""
    return over(x, x.abs().amax(dim=(-2, -1), keepdim=True))


def turned(m: Tensor, y: Tensor) -> Tensor:
    """M Y for a symmetric M, laid out in memory as Y is, so that adding it to a weight runs along the rows."""
    return (y.mT @ m).mT if y.stride(-1) != 1 and y.stride(-2) == 1 else m @ y


def shifted(m: Tensor, c: float) -> Tensor:
    """M <- M + c I, in place."""
    m.diagonal(dim1=-2, dim2=-1).add_(c)
    return m


def wide(x: Tensor) -> Tensor:
    """x in float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
