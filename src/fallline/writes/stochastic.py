"""Rounding by a throw of dice that falls on the true number in the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.dice import salt, throw
from ..core.field import Field, each
from ..core.memory import Memory
from ..core.shard import coordinates
from ..core.write import Write


@final
@dataclass(frozen=True)
class Stochastic(Write):
    """Up or down at random, and in the mean exactly right: theta <- bfloat16(w) with E[theta] = float32(w).

        theta <- the upper 16 bits of w + r,    r uniform on the lower 16 bits: hash(seed, t, coordinate, w)

    The random bits are a function, not a stream: nothing is saved, resuming is exact, replicas with equal weights stay
    equal, and neither grouping nor sharding has a say. Where two tensors hold the same w at the same place they round
    it alike; one bit of difference parts them. Weights in bfloat16 only; steps below 2^-25 of a weight are lost in
    float32 already. Not finite: as Nearest. Memory: none. seed: any integer.
    Reference: Gupta et al., arXiv 1502.02551.

    >>> p, t = torch.ones(10_000, dtype=torch.bfloat16), torch.tensor(1.0)
    >>> Stochastic().close(p, torch.full((10_000,), 0.999), Memory({}), t); round(float(p.double().mean()), 3)
    0.999
    """

    seed: int = 0
    traced: ClassVar[bool] = False  # integers: a kernel needs a formula of its own

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise ValueError(f"Invalid seed: {self.seed!r}; give an integer.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Nothing; only bfloat16 is float32 without its lower half."""
        if p.dtype is not torch.bfloat16:
            raise ValueError(f"Stochastic writes bfloat16 weights, but these are {p.dtype}. Use Kahan() or Nearest().")
        return {}

    def close(self, p: Field, work: Field, mem: Memory, t: Tensor) -> None:
        """p <- w + r, cut."""
        mark = salt(self.seed, t)
        p.copy_(each(lambda w, at: _rounded(w.float(), at, mark), work, coordinates(work)))


def _rounded(w: Tensor, at: Tensor, mark: Tensor) -> Tensor:
    bits = w.view(torch.int32)
    cut = throw(bits, at, mark).bitwise_and_(0xFFFF).add_(bits).bitwise_and_(-0x10000).view(torch.float32)
    return torch.maximum(cut, w.clamp_max(-torch.inf))  # NaN where w is, else cut; `where` takes four times as long
