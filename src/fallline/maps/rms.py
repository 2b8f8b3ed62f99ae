"""A stated size for whatever comes out of a metric."""

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
class Rms(Map):
    """Every matrix gets the same root mean square, whatever it had.

        D <- rms sqrt(m n) D / norm(D)        (norm: Frobenius)

    Memory: none. Scale invariant; a matrix of zeros stays. rms: .2 is what AdamW's steps have, so its lr serves.
    Reference: AdaMuon, arXiv 2507.11005; NorMuon, arXiv 2510.05491.

    >>> import torch
    >>> from fallline.core.memory import Memory
    >>> Rms(0.2)(torch.tensor([[3.0, -3.0]]), Memory({}), torch.tensor(1.0))
    tensor([[ 0.2000, -0.2000]])
    """

    rms: float = 0.2
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.rms < float("inf"):
            raise ValueError(f"Invalid rms: {self.rms!r}; the size of an update is a positive number.")

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """rms sqrt(m n) D / norm(D)."""
        return each(lambda x: resized(x, self.rms * (x.shape[-2] * x.shape[-1]) ** 0.5), u)


def resized(x: Tensor, length: float | Tensor) -> Tensor:
    """Every matrix of the stack with this Frobenius norm; zeros stay zeros."""
    return x * (length / x.norm(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny))
