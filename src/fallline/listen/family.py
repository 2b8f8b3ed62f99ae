"""Family: what directions of equal size earn, whichever norm they are steepest in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .column import POWERS
from .estimate import Estimate, Shape
from .look import FAMILIES
from .replicate import Replicates, replicates

Looks = Sequence[tuple[int, Tensor]]
TINY = 1e-300
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


def whole(looks: Looks, of: Sequence[int], level: float) -> dict[str, Estimate]:
    """Of all families, on tiles of whole matrices, where the optimizer keeps a momentum; m is that buffer.

    Every tile counts alike: <g, d> and |d| are taken relative to |g| and sqrt(its numbers) look by look.
    """
    rows = [x for i, x in looks if i in set(of) and x[-2] > 0]
    if len(rows) < LEAST:
        return {}
    x = torch.stack(rows).double()
    powers = cosine(x[:, 6:-3:2], x[:, 7:-3:2], x[:, -3:-2])
    found = dict(zip(FAMILIES, means(powers, level, -1.0, 1.0), strict=True))
    return {name: one for name, one in found.items() if name != "diagonal" or bool((x[:, -1] > 0).all())}


def shape(looks: Looks, of: Sequence[int], level: float, buffer: bool) -> Shape | None:
    """Of the gradients or of the momentum buffers of a scope's matrices."""
    rows = [x for i, x in looks if i in set(of) and (x[-2] > 0 or not buffer)]
    if len(rows) < LEAST:
        return None
    x = torch.stack(rows).double()[:, 3 * buffer : 3 * buffer + 3]
    return Shape(*means(x, level, 1.0, math.inf))


def means(x: Tensor, level: float, least: float, most: float) -> list[Estimate]:
    """Of the columns of looks [N, C], which are taken as independent: matrices take turns, steps between are many.

    least, most: where they can lie at all.
    """
    x = x[torch.isfinite(x).all(1)]
    if len(x) < LEAST:
        return [Estimate(math.nan, least, most, level)] * x.shape[1]
    reps = replicates(x, torch.ones_like(x), x[:0], level)
    return [reps.told(y, least, most) for y in reps.rows.unbind(1)]
