"""Functions of the spectrum: singular vectors stay, singular values change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, count, each, inner, tensors_of
from ..core.memory import Memory
from ..core.part import Metric
from .curve import Curve


@final
@dataclass(frozen=True)
class Spectrum(Metric):
    """direction(G) = U f(S) V^T for G = U S V^T, of every matrix of a stack `[..., m, n]`, by an exact SVD.

    curve: f. Directions without singular value stay without. Most curves belong to no norm, so lengths are those of the
    spectral norm: norm(W) = max sigma, dual(G) = sum sigma, which the direction attains for f = 1 only. Memory: none.
    Units: those of f(sigma). A curve that is not scale-free (Power, Clip) sees the filter's gain, unlike Muon.

    >>> import torch
    >>> from fallline import Power
    >>> Spectrum(Power(0.5)).direction(torch.diag(torch.tensor([4.0, 9.0])), Memory({}), torch.tensor(1.0))
    tensor([[2., 0.],
            [0., 3.]])
    """

    curve: Curve
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True
    linear: ClassVar[bool] = False

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """U f(S) V^T."""
        return each(self._bend, u)

    def _bend(self, x: Tensor) -> Tensor:
        u, s, vt = torch.linalg.svd(x.nan_to_num(0.0, 0.0, 0.0), full_matrices=False)
        s = s.where(s > s[..., :1] * max(x.shape[-2:]) * torch.finfo(x.dtype).eps, 0)  # rounding is no direction
        return (u * self.curve(s)[..., None, :]) @ vt + x * 0.0  # NaN stays NaN

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """max sigma, over all matrices of a stack."""
        return torch.stack([torch.linalg.matrix_norm(x, 2).max() for x in tensors_of(w)]).double()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum of sigma."""
        return torch.stack([torch.linalg.matrix_norm(x, "nuc").sum() for x in tensors_of(g)]).double()

    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        """<g, direction(u_k)>."""
        return torch.stack([inner(g, self.direction(u, mem, t)) for u in us], -1)

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """As a ball's: the number of coordinates, since candidates of one gain are compared."""
        return count(g)[:, None, None] * torch.ones_like(gram)
