"""Second moments of the direction itself, taken after the metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each, lerp_
from ..core.memory import Memory
from ..core.part import Map
from .rms import resized


def check_moment(beta: float, eps: float) -> None:
    """Raise unless beta decays and eps is not negative."""
    if not 0.0 <= beta < 1.0:
        raise ValueError(f"Invalid beta2: {beta!r}; a decay factor lies in [0, 1).")
    if not eps >= 0.0:
        raise ValueError(f"Invalid epsilon value: {eps}")


@final
@dataclass(frozen=True)
class RowMoment(Map):
    """In the long run every row gets an equal share of the step, and the matrix keeps its norm (NorMuon).

        v <- b v + (1 - b) mean_j O_ij^2        O' = O / (sqrt(v) + eps)        O' <- O' norm(O) / norm(O')

    Memory: `v`, a number per row: [..., m, 1]. Homogeneous up to eps: nothing remembered, it passes scale through. No
    bias correction: the norm that is kept takes out what it would do. Reference: Li et al., arXiv 2510.05491.

    >>> from fallline.core.memory import Memory
    >>> RowMoment(0.0)(torch.tensor([[3.0], [4.0]]), Memory({"v": torch.zeros(2, 1)}), torch.tensor(1.0)).flatten()
    tensor([3.5355, 3.5355])
    """

    beta: float = 0.95
    eps: float = 1e-10
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_moment(self.beta, self.eps)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squares, one per row."""
        return {"v": p.new_zeros(*p.shape[:-1], 1)}

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """O' of every matrix."""
        return each(self._even, u, mem.v)

    def _even(self, o: Tensor, v: Tensor) -> Tensor:
        v.lerp_(o.square().mean(-1, keepdim=True), 1 - self.beta)
        return resized(o / (v.sqrt() + self.eps), o.norm(dim=(-2, -1), keepdim=True))


@final
@dataclass(frozen=True)
class ElementMoment(Map):
    """Every coordinate of the direction over the size that it usually has (AdaMuon).

        v <- b v + (1 - b) O^2        D = O / (sqrt(v) + eps)

    Memory: `v`, like the matrix. No bias correction: follow it by `Rms`, which takes out the scale. beta = 0 gives the
    sign. Reference: Si et al., arXiv 2507.11005.

    >>> from fallline.core.memory import Memory
    >>> ElementMoment(0.0)(torch.tensor([[3.0, -4.0]]), Memory({"v": torch.zeros(1, 2)}), torch.tensor(1.0))
    tensor([[ 1., -1.]])
    """

    beta: float = 0.95
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_moment(self.beta, self.eps)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squares."""
        return {"v": torch.zeros_like(p)}

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """D."""
        return u / lerp_(mem.v, u.square(), 1 - self.beta).sqrt().add(self.eps)
