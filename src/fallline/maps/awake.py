"""A map whose memory of a row stands still while the row does."""

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
class Awake(Map):
    """map(u), but what the map remembers of rows of zeros stays as it was: they sleep, and do not age.

    For directions that move some rows at a time (`Sliced`). map: one that remembers numbers of rows, [..., m, 1].
    Memory: the map's. Reference: NorDion2 in microsoft/dion.

    >>> from fallline.maps import RowMoment
    >>> mem = Memory({"v": torch.ones(2, 1)})
    >>> _ = Awake(RowMoment(0.5))(torch.tensor([[3.0], [0.0]]), mem, torch.tensor(1.0)); mem.v.flatten()
    tensor([5., 1.])
    """

    map: Map
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The map's."""
        return self.map.memory(p)

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """The map of u."""
        before = mem.map(lambda v: each(torch.clone, v))
        y = self.map(u, mem, t)
        for v, old in zip(mem, before, strict=True):
            each(_keep, v, old, u)
        return y


def _keep(v: Tensor, old: Tensor, u: Tensor) -> Tensor:
    """v where rows move, the old one where they do not."""
    return v.copy_(v.where(u.abs().amax(-1, keepdim=True) > 0, old))
