"""Slices of a matrix: its rows or its columns, and which of them weigh most."""

from __future__ import annotations

import math

import torch
from torch import Tensor

AXES = (None, -2, -1)  # the shorter side (rows of a square), rows, columns


def check_slices(fraction: float, axis: int | None) -> None:
    """Raise unless there is something to choose."""
    if not 0 < fraction <= 1:
        raise ValueError(f"Invalid fraction: {fraction!r}; a share of the slices lies in (0, 1].")
    if axis not in AXES:
        raise ValueError(f"Invalid axis: {axis!r}; -2 counts rows, -1 columns, None the shorter side.")


def along(x: Tensor, axis: int | None) -> int:
    """The axis that slices are counted along."""
    return axis or (-2 if x.shape[-2] <= x.shape[-1] else -1)


def heaviest(x: Tensor, fraction: float, axis: int | None = None) -> Tensor:
    """The ceil(fraction n) slices whose sums of |x| are largest, in rising order: `[..., m, n]` -> `[..., k]`."""
    axis = along(x, axis)
    weights = x.abs().sum(-3 - axis)
    return weights.topk(math.ceil(fraction * x.shape[axis]), -1).indices.sort(-1).values


def take(x: Tensor, at: Tensor, axis: int | None = None) -> Tensor:
    """The stack of these slices alone, `[..., k, n]` or `[..., m, k]`."""
    return x.gather(along(x, axis), _spread(x, at, along(x, axis)))


def put(part: Tensor, at: Tensor, like: Tensor, axis: int | None = None) -> Tensor:
    """Slices in their places among zeros, shaped like `like`."""
    axis = along(like, axis)
    return torch.zeros_like(like).scatter(axis, _spread(like, at, axis), part)


def _spread(x: Tensor, at: Tensor, axis: int) -> Tensor:
    """The numbers of slices, once for each entry of a slice."""
    shape = list(x.shape)
    shape[axis] = at.shape[-1]
    return at.unsqueeze(-3 - axis).expand(shape)
