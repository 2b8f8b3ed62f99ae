"""Inverse roots of positive semidefinite matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from .side import eigh


def inverse_root(a: Tensor, p: float, eps: float = 1e-12) -> Tensor:
    """(A + eps lambda_max I)^(-1/p) of every matrix of a stack `[..., n, n]`, from A = Q diag(lambda) Q^T.

    A is symmetric positive semidefinite; eigenvalues that rounding made negative count as 0. eps > 0 is relative to
    the largest eigenvalue, so that the root of c A is c^(-1/p) times that of A; a matrix of zeros has the root 0, as
    if nothing had been seen. Arithmetic: A's own dtype, float32 at least. p > 0: 2 is A^(-1/2), 4 is Shampoo's.

    >>> inverse_root(torch.diag(torch.tensor([4.0, 16.0])), 2)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    if not p > 0 or not eps > 0:
        raise ValueError(f"inverse_root: p = {p} and eps = {eps} must both be positive.")
    wide = a.to(torch.promote_types(a.dtype, torch.float32))
    values, q = eigh((wide + wide.mT) / 2)
    root = _powered(values, -1 / p, eps)
    return ((q * root[..., None, :]) @ q.mT).to(a.dtype)


def _powered(values: Tensor, power: float, eps: float) -> Tensor:
    """(lambda + eps lambda_max)^power, and 0 where lambda_max is."""
    top = values[..., -1:].clamp(min=0)
    floored = values.clamp(min=0) + eps * top
    return torch.where(top > 0, floored.clamp(min=torch.finfo(values.dtype).tiny) ** power, 0)
