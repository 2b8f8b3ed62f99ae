"""Ways to compute a polar factor: the orthogonal matrix nearest to a matrix."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.part import Part

TINY = 1e-7


class Polar(Part):
    """polar(X) = U V^T for X = U S V^T, exactly or nearly, of every matrix of a stack `[..., m, n]`."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """The factor, shaped and typed like x; 0 for a matrix of zeros."""


@final
@dataclass(frozen=True)
class NewtonSchulz(Polar):
    """X <- a X + (b A + c A^2) X with A = X X^T, from X / norm(X), a few times (Muon)."""

    coefficients: tuple[tuple[float, float, float], ...] = ((3.4445, -4.7750, 2.0315),) * 5
    dtype: torch.dtype | None = None

    def __call__(self, x: Tensor) -> Tensor:
        tall = x.shape[-2] > x.shape[-1]
        y = (x.mT if tall else x).to(self.dtype or x.dtype)
        y = y / y.norm(dim=(-2, -1), keepdim=True).clamp(min=TINY)
        for a, b, c in self.coefficients:
            gram = y @ y.mT
            y = a * y + (b * gram + c * (gram @ gram)) @ y
        return (y.mT if tall else y).to(x.dtype)


@final
@dataclass(frozen=True)
class SVD(Polar):
    """U V^T from the singular value decomposition: the reference; directions without singular value are left out."""

    def __call__(self, x: Tensor) -> Tensor:
        u, s, vt = torch.linalg.svd(x, full_matrices=False)
        kept = s > s[..., :1] * max(x.shape[-2:]) * torch.finfo(x.dtype).eps
        return (u * kept[..., None, :].to(u.dtype)) @ vt
