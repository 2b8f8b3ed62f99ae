"""Look: a whole matrix at one step, seen rarely and in turn: its rank, its balance, and what matrix directions earn."""

from __future__ import annotations

import torch
from torch import Tensor

from ..metrics.polar.newton import NewtonSchulz
from . import kernel

TILE = 128  # directions are made of the corner of a larger matrix: a polar factor takes a millisecond or two
SHARP = 256  # power to which a small matrix is raised
ROUNDING = 1e-5
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
    rows, columns, small = kernel.passes(x, TINY, ROUNDING) or passes(x)
    rank = rows.double().sum() / norm(small).square().clamp(min=TINY)
    return torch.stack([rank, imbalance(rows), imbalance(columns)]).float()


def passes(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What is read of a matrix: `squares` and, from its largest row, `bidiagonal`."""
    rows, columns = squares(x)
    return rows, columns, bidiagonal(x, x[rows.argmax()])


def squares(x: Tensor) -> tuple[Tensor, Tensor]:
    """|row|^2 and |column|^2 of a matrix [m, n], [m] and [n]; PART numbers at a time, while they are at hand."""
    rows, columns, ones = [], x.new_zeros(x.shape[1]), x.new_ones(max(x.shape))
    for part in x.split(-(-PART // x.shape[1])):
        square = part.square()
        rows.append(square @ ones[: x.shape[1]])  # sums of short rows are slow
        columns += ones[: len(part)] @ square
    return torch.cat(rows), columns


def imbalance(s: Tensor) -> Tensor:
    """n sum s_i^2 / (sum s_i)^2 of squared norms s, [n] -> []; 1 where all are 0."""
    s = s.double()  # fourth powers of small gradients
    return torch.nan_to_num(len(s) * (s.norm() / s.sum()).square(), nan=1.0)


def bidiagonal(x: Tensor, y: Tensor) -> Tensor:
    """X as it acts on the span of y, X^T X y, (X^T X)^2 y ..., [KRYLOV, KRYLOV] (Golub & Kahan 1965).

    Its norm is that of X, or a little less: of pure noise, whose singular values lie close together, up to a tenth.

    X v_i = a_i u_i + b_{i-1} u_{i-1},    X^T u_i = a_i v_i + b_i v_{i+1}
    """
    v, _ = unit(y)
    u, a = unit(x @ v)
    found = x.new_zeros(kernel.KRYLOV, kernel.KRYLOV)
    found[0, 0] = a
    for i in range(1, kernel.KRYLOV):
        v, b = unit(x.T @ u - a * v)
        v = torch.where(b > ROUNDING * found[0, 0], v, 0.0)  # the space has no more: not what rounding left of it
        u, a = unit(x @ v - b * u)
        found[i - 1, i], found[i, i] = b, a
    return found


def norm(x: Tensor) -> Tensor:
    """The largest singular value of a small matrix by products alone, tr(G^{p+1}) / tr(G^p) = |X|^2 with G = X^T X and
    a high p: nothing waits for the host."""
    gram = x.double().T @ x.double()
    scale = gram.trace().clamp(min=TINY)
    power = torch.linalg.matrix_power(gram / scale, SHARP)
    return torch.nan_to_num((power * gram).sum() / power.trace()).sqrt()


def unit(y: Tensor) -> tuple[Tensor, Tensor]:
    """y / |y|, |y|."""
    length = torch.linalg.vector_norm(y)
    return y / length.clamp(min=TINY), length


def corner(x: Tensor) -> Tensor:
    """At most TILE x TILE of a matrix, from its middle."""
    rows, columns = (max(0, (n - TILE) // 2) for n in x.shape)
    return x[rows : rows + TILE, columns : columns + TILE]


def directions(m: Tensor, v: Tensor | None) -> list[Tensor]:
    """Steepest directions at m of each family, in any size; without v that of the diagonal metric is m itself."""
    rows, columns = (m.square().sum(d, keepdim=True).sqrt().clamp(min=TINY) for d in (1, 0))
    diagonal = m if v is None else m / v.sqrt().clamp(min=TINY)
    return [m, diagonal, m.sign(), m / rows, m / columns, POLAR(m)]
