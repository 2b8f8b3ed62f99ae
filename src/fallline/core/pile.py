"""Piles: matrices of equal shape put on top of each other, so that one call serves them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from .field import Bundle, Field, tensors_of

SMALL = 64  # longest short side that gains from piling on a CPU
NUMBERS = 1 << 26  # in one pile; what works on it needs about three times as much again


def room(x: Tensor) -> int:
    """How many matrices like x one pile may hold; 0 where they had better walk alone."""
    if x.device.type == "cpu" and min(x.shape[-2:]) > SMALL:
        return 0
    return max(1, NUMBERS // max(1, x.numel()))


def piled(f: Callable[[Tensor], Tensor], x: Field) -> Field:
    """f of every tensor, for an f that works on stacks `[..., m, n]`; equal shapes go through it together.

    >>> piled(lambda y: y * y.shape[0], Bundle([torch.ones(1, 2), torch.ones(1, 2), torch.ones(2, 1)]))[1]
    tensor([[2., 2.]])
    """
    tensors = tensors_of(x)
    made: list[Tensor] = list(tensors)
    for ranks in _piles(tensors):
        if room(tensors[ranks[0]]):  # a lone one too: alone or in company, the same products are taken
            pile = f(torch.stack([tensors[i] for i in ranks]) if len(ranks) > 1 else tensors[ranks[0]][None])
            for i, y in zip(ranks, pile, strict=True):
                made[i] = y
        else:
            for i in ranks:
                made[i] = f(tensors[i])
    return cast(Tensor, Bundle(made)) if isinstance(x, Bundle) else made[0]


def _piles(tensors: list[Tensor]) -> list[list[int]]:
    """Ranks of equal shapes, so many together as there is room for."""
    found: dict[torch.Size, list[int]] = {}
    for i, x in enumerate(tensors):
        found.setdefault(x.shape, []).append(i)
    return [
        ranks[k : k + size]
        for ranks in found.values()
        for size in [room(tensors[ranks[0]]) or len(ranks)]
        for k in range(0, len(ranks), size)
    ]
