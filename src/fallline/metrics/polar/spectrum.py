"""Polar factors from a decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ...core.field import over
from .factor import Polar, lying, turned, unit, wide


@final
@dataclass(frozen=True)
class SVD(Polar):
    """U V^T from the singular value decomposition: the reference; directions without singular value are left out."""

    def __call__(self, x: Tensor) -> Tensor:
        y = unit(wide(x))
        u, s, vt = torch.linalg.svd(y.nan_to_num(0.0, 0.0, 0.0), full_matrices=False)
        kept = s > s[..., :1] * max(x.shape[-2:]) * torch.finfo(s.dtype).eps
        return ((u * kept[..., None, :].to(u.dtype)) @ vt + y * 0.0).to(x.dtype)  # NaN stays NaN


@final
@dataclass(frozen=True)
class GramEigen(Polar):
    """(X X^T)^(-1/2) X from the eigenvalues of the Gram matrix: two long products, one small decomposition.

    floor: eigenvalues below this share of the largest count as it; None for 8 rounding units. The Gram matrix squares
    the condition number, so singular values below sqrt(floor), 1e-3 in float32, end short of 1 instead of anywhere.
    """

    floor: float | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return lying(self._wide, x)

    def _wide(self, x: Tensor) -> Tensor:
        y = unit(wide(x))
        values, q = torch.linalg.eigh((y @ y.mT).nan_to_num(0.0, 0.0, 0.0))
        least = self.floor or 8 * torch.finfo(y.dtype).eps
        values = values.clamp(min=values[..., -1:] * least).clamp(min=torch.finfo(y.dtype).tiny)
        return turned((q * values.rsqrt()[..., None, :]) @ q.mT, y)


@final
@dataclass(frozen=True)
class Vector(Polar):
    """X / norm(X): the polar factor of a matrix of one row or one column."""

    def __call__(self, x: Tensor) -> Tensor:
        y = unit(wide(x))
        return over(y, y.norm(dim=(-2, -1), keepdim=True)).to(x.dtype)
