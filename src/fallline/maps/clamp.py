"""Outliers cut to a quantile."""

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
class Clamp(Map):
    """No entry of a matrix sticks out beyond a quantile of their sizes (ROOT).

        e = quantile_q(|U|) + eps        U <- U - sgn(U) max(|U| - e, 0) = clamp(U, -e, e)

    What soft-thresholding takes away is the outlier; what it leaves is the clamped matrix. Memory: none. Homogeneous:
    clamp(c U) = c clamp(U) up to eps, which keeps a matrix of mostly zeros from vanishing whole. quantile in [0, 1],
    1 leaves U as it is. Reference: arXiv 2511.20626 (code: quantile .9; the paper's e is a fixed number).

    >>> import torch
    >>> from fallline.core.memory import Memory
    >>> Clamp(0.5, eps=0.0)(torch.tensor([[1.0, -2.0, 90.0]]), Memory({}), torch.tensor(1.0))
    tensor([[ 1., -2.,  2.]])
    """

    quantile: float = 0.9
    eps: float = 1e-9
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.quantile <= 1.0:
            raise ValueError(f"Invalid quantile: {self.quantile!r}; it is the share of entries that stay, in [0, 1].")

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """clamp(U, -e, e)."""
        return each(self._clamped, u)

    def _clamped(self, x: Tensor) -> Tensor:
        e = quantile(x.abs().flatten(-2), self.quantile)[..., None, None] + self.eps
        return x.clamp(-e, e)


def quantile(x: Tensor, q: float) -> Tensor:
    """Along the last axis, between the two nearest. torch.quantile sorts, and takes 16 million numbers at most."""
    low, between = divmod(q * (x.shape[-1] - 1), 1)
    below = x.kthvalue(int(low) + 1, keepdim=True).values
    if not between:
        return below[..., 0]
    above = torch.where(x > below, x, torch.inf).amin(-1, keepdim=True)  # one selection is dear enough
    tied = (x <= below).sum(-1, keepdim=True) > low + 1
    return below.lerp(torch.where(tied, below, above), between)[..., 0]
