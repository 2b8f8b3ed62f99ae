"""Alignment, power and pay: what selectors compare."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.chooser import Aim
from ..core.field import Field

SCORES = ("same", "held-out")
TINY = 1e-300


def scored(u: Field, g: Field, q0: float, score: str) -> Field:
    """What of a candidate's output meets the gradient.

    "same": all of u, with this batch's gradient on both sides. "held-out": u - q_0 g, only what earlier batches left
    in it (lags >= 1), so that this batch's noise cannot praise itself.
    """
    return u - g.mul(q0) if score == "held-out" else u


def tally(aim: Aim, g: Field, us: list[Field], gram: Tensor, size: Tensor) -> Tensor:
    """One additive row per tensor: coordinates, alignments [K], powers [K, K] flattened -> [tensors, 1 + K + K * K]."""
    return torch.cat([size[:, None], aim.align(g, us), aim.power(gram, g).flatten(1)], 1)


def untangle(measured: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of `tally`, summed over a scope -> alignment [scopes, K] and power per coordinate [scopes, K, K]."""
    k = int(((4 * measured.shape[1] - 3) ** 0.5 - 1) / 2 + 0.5)
    size, alignment, power = measured.split([1, k, k * k], 1)
    return alignment, (power / size).unflatten(1, (k, k))


def pay(alignment: Tensor, power: Tensor) -> Tensor:
    """alignment_k / sqrt(power_k), 0 where a filter has no power yet: [scopes, K] and [scopes, K, K] -> [scopes, K].

    Multiplying a filter's taps by a constant changes neither its pay nor its rank.
    """
    energy = power.diagonal(dim1=-2, dim2=-1)
    return alignment / energy.clamp(min=TINY).sqrt()  # without power there is no alignment either
