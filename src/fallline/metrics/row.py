"""Norms of rows and of columns: the longest one counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, count, each, over, tensors_of
from ..core.memory import Memory
from ..core.part import Ball
from .power import check_power, climb, conjugate


@final
@dataclass(frozen=True)
class Rows(Ball):
    """The longest row as norm: every row moves equally far.

        norm(W) = max_i norm_p(w_i),   dual(G) = sum_i norm_q(g_i), 1/p + 1/q = 1,   direction: each row's own steepest

    The operator norm from l_q to l_inf. p: of the rows, 1 <= p <= inf; Rows(inf) is Sign. Rows of zeros stay.
    floor: rows shorter than this times the mean length move in proportion, not a full step: an embedding's row that no
    recent batch touched still holds a trace of old momentum. It then keeps to the ball, but is not its best direction.
    Every matrix of a stack for itself. Memory: none. Units: lr is a row's length per step. Reference: arXiv 2409.20325;
    `FanIn(Rows(2), 0.5)` is Modula's and Scion's embedding (RMS 1), `FanIn(Rows(2), -0.5)` their head (RMS to linf).

    >>> from fallline.core.memory import Memory
    >>> Rows(2).direction(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), Memory({}), torch.tensor(1.0)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """

    p: float = 2.0
    floor: float = 0.0
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_power(self.p)
        if not self.floor >= 0.0:
            raise ValueError(f"Invalid floor: {self.floor!r}; a share of the rows' mean length is a number >= 0.")

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """sign(u_i) |u_i|^(q - 1) / norm_q(u_i)^(q - 1) in each row."""
        d = each(lambda x: climb(x, self.p, -1), u)
        return each(self._damped, d, u) if self.floor else d

    def _damped(self, d: Tensor, u: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(u, conjugate(self.p), -1, keepdim=True)
        least = self.floor * length.mean(-2, keepdim=True)
        return d * over(length, least).clamp(max=1.0)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """The longest row, over all matrices of a stack."""
        return torch.stack([torch.linalg.vector_norm(x, self.p, -1).max() for x in tensors_of(w)]).double()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """Sum of the rows' dual lengths."""
        q = conjugate(self.p)
        return torch.stack([torch.linalg.vector_norm(x, q, -1).sum() for x in tensors_of(g)]).double()

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)


@final
@dataclass(frozen=True)
class Columns(Ball):
    """The longest column as norm: every column moves equally far.

        norm(W) = max_j norm_p(w_j),   dual(G) = sum_j norm_q(g_j), 1/p + 1/q = 1,   direction: each column's steepest

    The operator norm from l_1 to l_p: how far a single active input can move the outputs. p: 1 <= p <= inf. Columns of
    zeros stay. Every matrix of a stack for itself. Memory: none. Units: lr is a column's length per step. Reference:
    arXiv 2409.20325; `FanOut(Columns(2), 0.5)` is l_1 to RMS, for embeddings stored as [width, vocabulary].

    >>> from fallline.core.memory import Memory
    >>> Columns(1).direction(torch.tensor([[3.0, -1.0], [-4.0, 0.0]]), Memory({}), torch.tensor(1.0)).tolist()
    [[0.0, -1.0], [-1.0, 0.0]]
    """

    p: float = 2.0
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_power(self.p)

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """sign(u_j) |u_j|^(q - 1) / norm_q(u_j)^(q - 1) in each column."""
        return each(lambda x: climb(x, self.p, -2), u)

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """The longest column, over all matrices of a stack."""
        return torch.stack([torch.linalg.vector_norm(x, self.p, -2).max() for x in tensors_of(w)]).double()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """Sum of the columns' dual lengths."""
        q = conjugate(self.p)
        return torch.stack([torch.linalg.vector_norm(x, q, -2).sum() for x in tensors_of(g)]).double()

    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates."""
        return count(g)
