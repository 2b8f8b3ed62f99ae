"""Metrics whose directions get another length: a multiple, the dual norm, or a root mean square that is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast, final

import torch
from torch import Tensor

from ..core.field import Bundle, Field, count, each, inner, over, tensors_of
from ..core.memory import Memory
from ..core.part import Around, Ball, Metric


@final
@dataclass(frozen=True)
class Weighted(Around, Metric):
    """A ball that is smaller by s: norm s N(w), dual N'(g) / s, direction d(u) / s.

    1 / s is the radius (Scion) or the mass (Modula) of a layer among others. s > 0. It sees what its metric sees,
    stacks or whole tensors. Memory: the metric's.

    >>> from fallline import Sign
    >>> Weighted(Sign(), 4.0).direction(torch.tensor([-2.0, 5.0]), Memory({}), torch.tensor(1.0))
    tensor([-0.2500,  0.2500])
    """

    metric: Metric
    s: float
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (isinstance(self.s, (int, float)) and 0.0 < self.s < torch.inf):
            raise ValueError(f"Invalid s: {self.s!r}; a norm's weight is a number > 0.")

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        """The metric's."""
        return self.metric.elementwise

    @property
    def matrix(self) -> bool:  # type: ignore[override]
        """The metric's."""
        return self.metric.matrix

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """d(u) / s."""
        return self.metric.direction(u, mem, t).div(self.s)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """s N(w)."""
        return self.metric.norm(w, mem, t) * self.s

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """N'(g) / s."""
        return self.metric.dual(g, mem, t) / self.s

    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        """<g, d(u_k)> / s."""
        return self.metric.align(g, us, mem, t) / self.s

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """The metric's."""
        return self.metric.power(gram, g, mem, t)


@final
@dataclass(frozen=True)
class OwnDual(Metric):
    """Steepest descent with its own step size, not only its direction: d(u) = N'(u) d_N(u), uphill of N'(u)^2 / 2.

    Every matrix of a stack for itself, with N'(u) = <u, d_N(u)>; norm(w)^2 = sum N(w)^2 and dual(g)^2 = sum N'(g)^2
    over them. Not scale invariant: twice the gradient is twice the step. Memory: none. Units: lr is length^2 per unit
    of loss. The anthology (arXiv 2409.20325) proves the step of the *sum* over all layers,
    `DualNorm`; PolarGrad (arXiv 2505.21799) and optax's adaptive Muon take each layer's own, as here.

    >>> from fallline import SVD, Spectral
    >>> d = OwnDual(Spectral(SVD())).direction(torch.diag(torch.tensor([3.0, 1.0])), Memory({}), torch.tensor(1.0))
    >>> [round(x) for x in d.diag().tolist()]
    [4, 4]
    """

    metric: Metric
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Metric) or isinstance(self.metric, OwnDual):
            raise TypeError(f"OwnDual needs a fixed norm, such as Spectral(), but got {self.metric!r}.")

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """N'(u) d_N(u)."""
        return each(lambda x, d: d * (x * d).sum((-2, -1), keepdim=True), u, self.metric.direction(u, mem, t))

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """sqrt(sum N(w)^2)."""
        return torch.stack([self.metric.norm(_matrices(x), mem, t).norm() for x in tensors_of(w)])

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sqrt(sum N'(g)^2)."""
        return torch.stack([self.metric.dual(_matrices(x), mem, t).norm() for x in tensors_of(g)])

    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        """<g, direction(u_k)>."""
        return torch.stack([inner(g, self.direction(u, mem, t)) for u in us], -1)

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """As that of a linear direction: a filter twice as loud has four times the power."""
        return count(g)[:, None, None] * gram


@final
@dataclass(frozen=True)
class Exact(Around, Ball):
    """A direction of exactly this root mean square, whatever it was: d(u) = rms sqrt(m n) d_N(u) / norm_F(d_N(u)).

    Every matrix of a stack for itself; 0 for 0. Unlike with `MatchRMS`, rank and errors of a polar factor do not show.
    It has the length RMS(w) / rms, in which no unit ball has it as the best direction: its dual is only what it pairs
    to, <g, d(g)>. Memory: none. Units: lr times rms is the root mean square of a step. Reference: NorMuon, arXiv
    2510.05491; AdaMuon, arXiv 2507.11005.

    >>> from fallline import Rows
    >>> Exact(Rows(2), 0.5).direction(torch.tensor([[3.0, 0.0], [0.0, 0.0]]), Memory({}), torch.tensor(1.0)).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """

    metric: Metric
    rms: float = 0.2
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.rms, (int, float)) and 0.0 < self.rms < torch.inf):
            raise ValueError(f"Invalid rms: {self.rms!r}; a root mean square is a number > 0.")

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """rms d_N(u) / RMS(d_N(u))."""
        return each(lambda d: over(d, _rms(d)) * self.rms, self.metric.direction(u, mem, t))

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """RMS(w) / rms, the largest of a stack."""
        return torch.stack([_rms(x).max() for x in tensors_of(w)]).double() / self.rms

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """<g, direction(g)>."""
        return inner(g, self.direction(g, mem, t))

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)


def _matrices(x: Tensor) -> Field:
    """The matrices of a stack as tensors of their own."""
    return cast(Tensor, Bundle(x.reshape(-1, *x.shape[-2:]).unbind()))


def _rms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) / (x.shape[-2] * x.shape[-1]) ** 0.5
