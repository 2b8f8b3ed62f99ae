"""Starts: how a matrix is scaled so that no singular value exceeds 1, the nearer to 1 the better."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ...core.part import Part
from .factor import unit

Scaled = tuple[Tensor, Tensor, Tensor | None]


class Start(Part):
    """A scaling of wide matrices `[..., r, L]`, r <= L, to singular values in [0, 1]."""

    @abstractmethod
    def __call__(self, x: Tensor, dtype: torch.dtype) -> Scaled:
        """X scaled, its Gram matrix A = X X^T, and A^2 where the scaling had to compute it, all in this dtype."""


@final
@dataclass(frozen=True)
class FrobeniusStart(Start):
    """X / max(norm(X), eps), as published with Muon: the loosest bound, by sqrt(rank) if all singular values are equal.

    eps in units of the gradient: below it a matrix is not scaled up, so the polar factor of a tiny one is too short.
    The order of operations is that of torch.optim.Muon.
    """

    eps: float = 1e-7

    def __call__(self, x: Tensor, dtype: torch.dtype) -> Scaled:
        y = x.to(dtype)
        y = y / y.norm(dim=(-2, -1), keepdim=True).clamp(min=self.eps)
        return y, y @ y.mT, None


@final
@dataclass(frozen=True)
class SchattenStart(Start):
    """X / norm of the singular values in l_p, p = 4 or 8: norm(A)^(1/2) or norm(A^2)^(1/4) for A = X X^T.

    Both are free, as A and A^2 are computed anyway. The bound is loose by rank^(1/p) at most; any scale of X will do.
    """

    p: int = 4

    def __post_init__(self) -> None:
        if self.p not in (4, 8):
            raise ValueError(f"Schatten: p = {self.p!r}, but only 4 and 8 come for free.")

    def __call__(self, x: Tensor, dtype: torch.dtype) -> Scaled:
        y = unit(x).to(dtype)
        gram = y @ y.mT
        square = gram @ gram if self.p == 8 else None
        size = _length(gram) if square is None else _length(square).sqrt()
        square = square if square is None else (square / size.square()).to(dtype)
        return (y / size.sqrt()).to(dtype), (gram / size).to(dtype), square


@final
@dataclass(frozen=True)
class AOL(Start):
    """Rows scaled one by one: X <- diag(s) X with s_i = (sum_j |A_ij|)^(-1/2), A = X X^T (Turbo-Muon).

    No singular value exceeds 1, and most are near it. It changes the target: what follows approaches polar(diag(s) X),
    not polar(X); the short side's symmetry is lost, like with row normalisation. Reference: arXiv 2512.04632.
    """

    def __call__(self, x: Tensor, dtype: torch.dtype) -> Scaled:
        y = unit(x).to(dtype)
        gram = y @ y.mT
        rows = gram.abs().sum(-1, keepdim=True, dtype=torch.promote_types(dtype, torch.float32))
        s = rows.clamp(min=torch.finfo(rows.dtype).tiny).rsqrt()
        return (s * y).to(dtype), (s * gram * s.mT).to(dtype), None


def _length(gram: Tensor) -> Tensor:
    """Frobenius norms, in float32 at least, never 0."""
    kind = torch.promote_types(gram.dtype, torch.float32)
    size = torch.linalg.vector_norm(gram, dim=(-2, -1), keepdim=True, dtype=kind)
    return size.clamp(min=torch.finfo(kind).tiny)
