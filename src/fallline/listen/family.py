"""Family: what directions of equal size earn, whichever norm they are steepest in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .column import POWERS
from .estimate import Estimate, Shape
from .look import FAMILIES
from .neighbour import NEWS, Memory
from .replicate import Replicates, replicates

Looks = Sequence[Tensor]
TINY = 1e-300
OVER = 0.1  # of noise a look's stable rank is 4 % too high at 48 x 32, 8 % at 200 x 160, 7 % at 1024 x 1024
ALIKE = 1e-9  # what is nearer to 1 is 1
LEAST = 4  # looks, without which there are no error bars and no estimate


def cosine(inner: Tensor, d: Tensor, g: Tensor) -> Tensor:
    """sum <g, d> / sqrt(sum |d|^2 sum |g|^2): the drop of the loss for an update of given RMS, over the largest one."""
    return inner / (d * g).clamp(min=TINY).sqrt()


def sampled(reps: Replicates, at: slice) -> dict[str, Estimate]:
    """Of elementwise families, on sampled coordinates; m is an average of earlier gradients, by the momentum in use."""
    of = {name: at.start + i for i, name in enumerate(POWERS)}

    def power(inner: str, d: str) -> Estimate:
        cosines = cosine(reps.rows[:, of[inner]], reps.rows[:, of[d]], reps.rows[:, of["gg"]])
        return reps.told(cosines, -1.0, 1.0)

    return {"euclid": power("gm", "mm"), "diagonal": power("gd", "dd"), "sign": power("gs", "ss")}


def whole(looks: Looks, level: float, memory: Memory = NEWS) -> dict[str, Estimate]:
    """Of all families, the mean over looks at tiles of whole matrices, where the optimizer keeps a momentum; m is that
    buffer, of earlier steps, and with it there are no looks at the first step.

    A tile is the middle of a matrix, TILE x TILE at most; every look counts alike, at whichever matrix of a scope: of
    each <g, d> is taken relative to |g| |d|. memory: how many looks <g, m> is remembered.
    """
    rows = [x for x in looks if x[-2] > 0]
    if len(rows) < LEAST:
        return {}
    x = torch.stack(rows).double()
    reps = means(cosine(x[:, 6:-3:2], x[:, 7:-3:2], x[:, -3:-2]), level, memory)
    found = dict(zip(FAMILIES, (reps.told(y, -1.0, 1.0) for y in reps.rows.unbind(1)), strict=True))
    return {name: one for name, one in found.items() if name != "diagonal" or bool((x[:, -1] > 0).all())}


def shape(looks: Looks, level: float, memory: Memory = NEWS, buffer: bool = False) -> Shape | None:
    """Of the gradients, or of the momentum buffers, of a scope's matrices: means over looks that count alike.

    What is told is the mean of shapes, not the shape of a mean. None is below 1, and most lie near it with a few far
    above: 1 + u exp((u* - u) / u) are the replicates of 1 + u, so that intervals reach further up than down.
    """
    rows = [x for x in looks if x[-2] > 0 or not buffer]
    if len(rows) < LEAST:
        return None
    reps = means(torch.stack(rows).double()[:, 3 * buffer : 3 * buffer + 3], level, memory)
    rank, *uneven = (reps.told(upward(y), 1.0, math.inf) for y in reps.rows.unbind(1))
    return Shape(replace(rank, low=max(1.0, rank.low / (1 + OVER))), *uneven)


def upward(y: Tensor) -> Tensor:
    """1 + u exp((u* - u) / u) of 1 + u in y[0] and 1 + u* in all."""
    u = (y - 1)[0]
    return 1 + u * ((y - y[0]) / u).exp() if u > ALIKE else y


def means(x: Tensor, level: float, memory: Memory) -> Replicates:
    """Of the columns of looks [N, C]. A look that is not finite counts for nothing."""
    x = x[torch.isfinite(x).all(1)]
    return replicates(x, torch.ones_like(x), x[:0], level, memory)
