"""Look: a whole matrix at one step, seen rarely and in turn: its rank, its balance, and what matrix directions earn."""

from __future__ import annotations

import torch
from torch import Tensor

from ..metrics.polar.newton import NewtonSchulz

TILE = (
    128  # directions are made of the corner of a larger matrix: a polar factor of this size takes a millisecond or two
)
POWER_STEPS = 5
PART = 131072  # numbers whose squares are made at a time, 512 KiB
POLAR = NewtonSchulz("you-6")  # products alone: nothing waits for the host, as it would for eigenvalues
TINY = 1e-38
FAMILIES = ("euclid", "diagonal", "sign", "row", "column", "spectral")
# What a look says, all numbers: shapes of gradient and buffer, <g, d> and |d|^2 of the families, |g|^2 of the tile, and
# whether there is a buffer and a second moment.
WIDTH = 3 + 3 + 2 * len(FAMILIES) + 3


def look(g: Tensor, m: Tensor | None, v: Tensor | None) -> Tensor:
    """[WIDTH] on the device of g. m: the momentum buffer of earlier steps, v: the second moment, if there are any.

    Directions are made from m, so that this step's noise does not meet itself; from g if there is no m.
    """
    g = g.float()
    m, v = None if m is None else m.float(), None if v is None else v.float()
    gradient = shape(g)
    buffer = torch.zeros_like(gradient) if m is None else shape(m)
    tile, base = corner(g), corner(g if m is None else m)
    powers = [
        one for d in directions(base, None if v is None else corner(v)) for one in ((tile * d).sum(), d.square().sum())
    ]
    have = g.new_tensor([m is not None, v is not None])
    return torch.cat([gradient, buffer, torch.stack([*powers, tile.square().sum()]), have])


def shape(x: Tensor) -> Tensor:
    """Stable rank, row and column imbalance, [3].

    >>> shape(torch.eye(4)).tolist(), shape(torch.outer(torch.tensor([1.0, 0, 0]), torch.ones(2))).tolist()
    ([4.0, 1.0, 1.0], [1.0, 3.0, 1.0])
    """
    rows, columns = squares(x)
    return torch.stack([stable_rank(x, rows), imbalance(rows), imbalance(columns)])


def squares(x: Tensor) -> tuple[Tensor, Tensor]:
    """|row|^2 and |column|^2 of a matrix [m, n], [m] and [n]; PART numbers at a time, while they are at hand."""
    rows, columns = [], x.new_zeros(x.shape[1])
    for part in x.split(-(-PART // x.shape[1])):
        square = part.square()
        rows.append(square.sum(1))
        columns += square.sum(0)
    return torch.cat(rows), columns


def imbalance(s: Tensor) -> Tensor:
    """n sum s_i^2 / (sum s_i)^2 of squared norms s, [n] -> []; 1 where all are 0."""
    s = s / s.max().clamp(min=TINY)
    return torch.where(s.sum() > 0, len(s) * s.square().sum() / s.sum().square().clamp(min=TINY), 1.0)


def stable_rank(x: Tensor, rows: Tensor) -> Tensor:
    """|X|_F^2 / |X|_2^2, the latter by power iteration from the row of largest norm: at most a few percent too high."""
    y = unit(x[rows.argmax()])
    for _ in range(POWER_STEPS):
        y = unit(x.T @ unit(x @ y))
    return rows.sum() / torch.linalg.vector_norm(x @ y).square().clamp(min=TINY)


def unit(y: Tensor) -> Tensor:
    """y / |y|."""
    return y / torch.linalg.vector_norm(y).clamp(min=TINY)


def corner(x: Tensor) -> Tensor:
    """At most TILE x TILE of a matrix, from its middle."""
    rows, columns = (max(0, (n - TILE) // 2) for n in x.shape)
    x = x[rows : rows + TILE, columns : columns + TILE]
    return x


def directions(m: Tensor, v: Tensor | None) -> list[Tensor]:
    """Steepest directions at m of each family, in any size; without v that of the diagonal metric is m itself."""
    rows, columns = (m.square().sum(d, keepdim=True).sqrt().clamp(min=TINY) for d in (1, 0))
    diagonal = m if v is None else m / v.sqrt().clamp(min=TINY)
    return [m, diagonal, m.sign(), m / rows, m / columns, POLAR(m)]
