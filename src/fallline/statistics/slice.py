"""Slices of a matrix: its rows, or its columns if it is taller than wide, and which of them weigh most."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def axis(x: Tensor) -> int:
    """The axis that slices are counted along: -2 (rows) for m <= n, else -1 (columns)."""
    return -2 if x.shape[-2] <= x.shape[-1] else -1


def share(n: int, fraction: float) -> int:
    """How many of n: ceil(fraction n)."""
    return math.ceil(fraction * n)


def heaviest(x: Tensor, fraction: float) -> Tensor:
    """The slices whose sums of |x| are largest, by number and in rising order: `[..., m, n]` -> `[..., k]`."""
    along = axis(x)
    weights = x.abs().sum(-3 - along)
    return weights.topk(share(x.shape[along], fraction), -1).indices.sort(-1).values


def take(x: Tensor, at: Tensor) -> Tensor:
    """The stack of these slices alone, `[..., k, n]` or `[..., m, k]`."""
    return x.gather(axis(x), _spread(x, at))


def put(part: Tensor, at: Tensor, like: Tensor) -> Tensor:
    """Slices in their places among zeros, shaped like `like`."""
    return torch.zeros_like(like).scatter(axis(like), _spread(like, at), part)


def _spread(x: Tensor, at: Tensor) -> Tensor:
    """The numbers of slices, once for each entry of a slice."""
    along = axis(x)
    shape = list(x.shape)
    shape[along] = at.shape[-1]
    return at.unsqueeze(-3 - along).expand(shape)
