"""A field over what it usually measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, lerp_
from ..core.memory import Memory
from ..core.part import Map
from .moment import check_moment


@final
@dataclass(frozen=True)
class Variance(Map):
    """Every coordinate over the root of its own mean square: of the momentum, where no metric comes before (DeVA).

        v <- b v + (1 - b) u^2        d = u / sqrt(v + eps)

    Unlike in `SecondMoment` it is not the gradient that is squared, unlike in `ElementMoment` eps lies under the root.
    Memory: `v`, like the parameter. No bias correction: the first step is 1 / sqrt(1 - b) signs. Reference: Song et
    al., arXiv 2602.06880, Euclidean form.

    >>> from fallline.core.memory import Memory
    >>> Variance(0.0, 0.0)(torch.tensor([3.0, -4.0]), Memory({"v": torch.zeros(2)}), torch.tensor(1.0))
    tensor([ 1., -1.])
    """

    beta: float = 0.999
    eps: float = 1e-5

    def __post_init__(self) -> None:
        check_moment(self.beta, self.eps)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squares."""
        return {"v": torch.zeros_like(p)}

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u / sqrt(v + eps)."""
        return u / lerp_(mem.v, u.square(), 1 - self.beta).add(self.eps).sqrt()
