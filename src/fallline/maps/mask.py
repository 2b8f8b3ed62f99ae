"""Masks: what the gradient of now says against a direction that was made of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.mask import Mask
from ..core.memory import Memory


@final
@dataclass(frozen=True)
class Cautious(Mask):
    """Only coordinates whose direction the gradient confirms move, and those further (cautious optimizers).

        phi_i = 1 if d_i g_i > 0 else 0        d <- d phi / max(mean(phi), floor)

    mean: over each tensor, so the norm_1 of a direction that is aligned everywhere stays, and with a share phi of the
    coordinates lr grows by 1 / phi (1.5 to 2 in practice). Memory: none. <d, g> is never negative. Reference: Liang et
    al., arXiv 2411.16085; its public code masks nothing on the foreach path, where the momentum meets itself.

    >>> d, g = torch.tensor([1.0, 1.0]), torch.tensor([5.0, -5.0])
    >>> Cautious().beside(d, g, Memory({}), torch.tensor(1.0))
    tensor([2., 0.])
    """

    floor: float = 1e-3
    elementwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 < self.floor <= 1.0:
            raise ValueError(f"Invalid floor: {self.floor!r}; the least share that counts lies in (0, 1].")

    def beside(self, u: Field, g: Field, mem: Memory, t: Tensor) -> Field:
        """d phi / max(mean(phi), floor)."""
        return each(self._masked, u, g)

    def _masked(self, d: Tensor, g: Tensor) -> Tensor:
        phi = (d.sign() * g.sign() > 0).to(d.dtype)
        return d * (phi / phi.mean().clamp_min(self.floor))


@final
@dataclass(frozen=True)
class GradientSign(Mask):
    """The past says how far, the gradient of now says which way (Grams).

        d_i <- sign(g_i) |d_i|

    Memory: none. Where the signs agree nothing changes; <d, g> is never negative. Reference: Cao et al., arXiv
    2412.17107.

    >>> d, g = torch.tensor([1.0, 2.0]), torch.tensor([5.0, -5.0])
    >>> GradientSign().beside(d, g, Memory({}), torch.tensor(1.0))
    tensor([ 1., -2.])
    """

    def beside(self, u: Field, g: Field, mem: Memory, t: Tensor) -> Field:
        """sign(g) |d|."""
        return g.sign() * u.abs()


@final
@dataclass(frozen=True)
class TopAligned(Mask):
    """The share of coordinates that the gradient confirms most move further, the others less, and none stands still.

        d_i <- d_i / share  for the floor(share N) largest d_i g_i of a tensor,   d_i <- share d_i  for the others

    Lengthens a direction of equal entries by 1 + share - share^2. Memory: none. share in (0, 1]; 1 changes nothing.
    Reference: MGUP, arXiv 2606.17526, from a third party's sheet: the paper was not read.

    >>> d, g = torch.tensor([1.0, 1.0]), torch.tensor([5.0, -5.0])
    >>> TopAligned(0.5).beside(d, g, Memory({}), torch.tensor(1.0))
    tensor([2.0000, 0.5000])
    """

    share: float = 0.5
    elementwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"Invalid share: {self.share!r}; it lies in (0, 1].")

    def beside(self, u: Field, g: Field, mem: Memory, t: Tensor) -> Field:
        """d / share for the best, share d for the others."""
        return each(self._scaled, u, g)

    def _scaled(self, d: Tensor, g: Tensor) -> Tensor:
        best = (d * g).flatten().topk(int(self.share * d.numel())).indices
        factor = torch.full_like(d.flatten(), self.share).index_fill_(0, best, 1 / self.share)
        return d * factor.view_as(d)
