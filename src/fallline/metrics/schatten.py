"""Norms of the singular values other than the largest: Schatten, nuclear, Ky Fan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, count, each, tensors_of
from ..core.memory import Memory
from ..core.part import Ball
from .power import climb, conjugate


@final
@dataclass(frozen=True)
class Schatten(Ball):
    """The p-norm of the singular values sigma as norm of a matrix.

        norm(W) = norm_p(sigma),   dual(G) = norm_q(sigma), 1/p + 1/q = 1,   direction(G) = U diag(d(sigma)) V^T

    with d(sigma) = sigma^(q - 1) / norm_q(sigma)^(q - 1). p: 1 < p < inf, between the rank-1 steps of `Nuclear` and the
    flat spectrum of `Spectral`; 2 is Frobenius. Of every matrix of a stack for itself, norm the largest and dual the
    sum. Costs a singular value decomposition. Memory: none. Units: lr is a Schatten length per step.
    Reference: the powers of Freon (arXiv 2605.11181) and HTMuon (2603.10067) without their scale.

    >>> from fallline.core.memory import Memory
    >>> float(Schatten(3.0).norm(torch.eye(8), Memory({}), torch.tensor(1.0)))  # 8^(1/3)
    2.0
    """

    p: float
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.p, (int, float)) and 1.0 < self.p < torch.inf):
            raise ValueError(f"Invalid p: {self.p!r}; it lies between 1 (Nuclear) and infinity (Spectral).")

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """U diag(sigma^(q - 1) / norm_q(sigma)^(q - 1)) V^T."""
        return each(lambda x: _turned(x, lambda s: climb(s, self.p, -1)), u)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """norm_p(sigma), the largest of a stack."""
        return torch.stack([_values(x).norm(self.p, -1).max() for x in tensors_of(w)]).double()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """norm_q(sigma), summed over a stack."""
        return torch.stack([_values(x).norm(conjugate(self.p), -1).sum() for x in tensors_of(g)]).double()

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)


@final
@dataclass(frozen=True)
class Nuclear(Ball):
    """The sum of the singular values as norm: norm(W) = sum sigma, dual(G) = max sigma, direction(G) = u_1 v_1^T.

    Steps of rank one, along the leading singular pair alone; the same as KyFan(1). Of every matrix of a stack for
    itself, norm the largest and dual the sum. Costs a singular value decomposition. Memory: none. Units: lr is a
    nuclear length per step.

    >>> from fallline.core.memory import Memory
    >>> Nuclear().direction(torch.diag(torch.tensor([1.0, 5.0])), Memory({}), torch.tensor(1.0)).abs()
    tensor([[0., 0.],
            [0., 1.]])
    """

    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u_1 v_1^T."""
        return each(lambda x: _turned(x, lambda s: _first(s, 1)), u)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum sigma, the largest of a stack."""
        return torch.stack([_values(x).sum(-1).max() for x in tensors_of(w)]).double()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """max sigma, summed over a stack."""
        return torch.stack([_values(x).amax(-1).sum() for x in tensors_of(g)]).double()

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)


@final
@dataclass(frozen=True)
class KyFan(Ball):
    """A spectral ball cut by a nuclear one, so that steps have rank k at most.

        norm(W) = max(sigma_1, sum sigma / k),   dual(G) = sigma_1 + .. + sigma_k,   direction(G) = U_k V_k^T

    k = 1 is `Nuclear`, k = min(m, n) or more `Spectral`. Of every matrix of a stack for itself, norm the largest and
    dual the sum. Costs a singular value decomposition. Memory: none. Units: lr is a spectral length per step.
    Reference: Ky Fan's norm is the dual; its direction is NuMuon's step.

    >>> from fallline.core.memory import Memory
    >>> float(KyFan(2).dual(torch.diag(torch.tensor([1.0, 5.0, 3.0])), Memory({}), torch.tensor(1.0)))
    8.0
    """

    k: int
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.k, int) and self.k >= 1):
            raise ValueError(f"Invalid k: {self.k!r}; steps have a rank of 1 or more.")

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """U_k V_k^T."""
        return each(lambda x: _turned(x, lambda s: _first(s, self.k)), u)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """max(sigma_1, sum sigma / k), the largest of a stack."""
        found = [torch.maximum(s.amax(-1), s.sum(-1) / self.k).max() for s in map(_values, tensors_of(w))]
        return torch.stack(found).double()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sigma_1 + .. + sigma_k, summed over a stack."""
        return torch.stack([_values(x)[..., : self.k].sum() for x in tensors_of(g)]).double()

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)


def _turned(x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """U diag(f(sigma)) V^T; singular values that are rounding alone count as zero."""
    u, s, vt = torch.linalg.svd(x, full_matrices=False)
    s = s * (s > s[..., :1] * max(x.shape[-2:]) * torch.finfo(x.dtype).eps)
    return (u * f(s)[..., None, :]) @ vt


def _values(x: Tensor) -> Tensor:
    return torch.linalg.svdvals(x)


def _first(s: Tensor, k: int) -> Tensor:
    """1 for the first k values that are not zero."""
    return (s > 0).to(s.dtype) * (torch.arange(s.shape[-1], device=s.device) < k)
