"""Convolutions with the factor of their kernel, which a matrix alone does not tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, count, each, tensors_of
from ..core.memory import Memory
from ..core.part import Ball
from ..core.view import View


@final
@dataclass(frozen=True)
class Conv(Ball):
    """Scion's norm of convolutions: the matrix [out, in K] of a weight [out, in, ...] with K places in its kernel.

        direction = s direction_N(matrix),   norm = N / s,   dual = N' s,     s = sqrt(out / in) / K

    With `Spectral` and stride 1 inputs of RMS 1 then move the output by RMS 1 / sqrt(K) at most: each input is in K
    patches, so that sqrt(out / in / K) would do, and Scion's factor is that much smaller. It opens the weight itself,
    by `view` (groups, transposed), where `FanRatio` sees matrices that have forgotten their kernel: s is its factor
    over sqrt(K). metric: a ball of matrices. Memory: none. Units: lr is a length of the operator from RMS to RMS per
    step. Reference: Scion, arXiv 2502.07529; Modula.

    >>> from fallline import SVD, Spectral
    >>> d = Conv(Spectral(SVD())).direction(torch.ones(1, 1, 2, 2), Memory({}), torch.tensor(1.0))
    >>> round(float(d[0, 0, 0, 0]), 3)  # a polar factor of .5 each, over K = 4
    0.125
    """

    metric: Ball
    view: View = field(default_factory=View)
    elementwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Ball) or self.view.pieces > 1 or self.view.stack:
            raise TypeError(f"Conv needs a fixed norm of matrices and a view of equal groups, not {self.metric!r}.")

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """s direction(matrix)."""
        d = self.view.close(self.metric.direction(self.view.open(u), mem, t), u)
        return each(lambda x: x * self._factor(x), d)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """N / s."""
        return self.metric.norm(self.view.open(w), mem, t) / self._factors(w)

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """N' s."""
        return self.metric.dual(self.view.open(g), mem, t) * self._factors(g)

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)

    def _factor(self, x: Tensor) -> float:
        m, n = self.view.open(x).shape[-2:]
        places = x.shape[2:].numel()
        return float((m * places / n) ** 0.5 / places)

    def _factors(self, x: Field) -> Tensor:
        found = [self._factor(one) for one in tensors_of(x)]
        return torch.tensor(found, dtype=torch.float64, device=tensors_of(x)[0].device)
