"""Momentum of which only a low-rank part is used, and the rest kept for later."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Filter

TINY = 1e-8


@final
@dataclass(frozen=True)
class LowRankEF(Filter):
    """One power iteration on a sum of gradients, which then forgets the part that was used (error feedback).

        B = M + G,    P = orth(B Q),    R = B^T P,    M <- B - (1 - mu) P R^T,    Q <- R / (|columns of R| + 1e-8),
        u = P Q^T, which is already a direction: nearly the polar factor of the leading q directions of B

    Wide matrices are transposed first. As a causal filter, at full rank: q_k = mu^k. Memory: `m` like the matrix, and
    `q` [..., min(m, n), rank], which starts random, the same for every weight of a shape, on any machine. fraction:
    rank = ceil(fraction min(m, n)). mu in [0, 1]; 1 never forgets. Reference: Dion, arXiv 2504.05295.

    >>> g, t = torch.ones(3, 2), torch.tensor(1.0)
    >>> mem = Memory(LowRankEF(0.5).memory(g))
    >>> LowRankEF(0.5).remember(g, mem, t); LowRankEF(0.5).output(g, mem, t)[0]
    tensor([0.4082, 0.4082])
    """

    fraction: float = 1.0
    mu: float = 0.95
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1 or not 0 <= self.mu <= 1:
            raise ValueError(f"Invalid fraction {self.fraction!r} or mu {self.mu!r}; they lie in (0, 1] and [0, 1].")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The sum, and the right factor of its leading part."""
        *stack, m, n = p.shape
        shape = (*stack, min(m, n), math.ceil(self.fraction * min(m, n)))
        return {"m": torch.zeros_like(p), "q": start(shape).to(p)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """B = M + G."""
        mem.m.add_(g)

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """P Q^T; then M and Q are the next step's."""
        return each(lambda m, q: turn(m, q, self.mu), mem.m, mem.q)

    def taps(self, n: int) -> Tensor:
        """mu^k."""
        return self.mu ** torch.arange(n, dtype=torch.float64)

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """1: the length of P Q^T does not depend on how much was summed."""
        return torch.ones_like(t)

    def momentum(self, mem: Memory) -> float:
        """mu."""
        return self.mu


def turn(m: Tensor, q: Tensor, mu: float) -> Tensor:
    """P Q^T of B, which m holds, and of q; m and q become what the next step finds."""
    wide = m.shape[-2] < m.shape[-1]
    b = m.mT if wide else m
    alive = b.abs().amax((-2, -1), keepdim=True) > 0  # zeros have no factor: then the old one is kept
    p = torch.linalg.qr(b @ q).Q * alive
    r = b.mT @ p
    b.sub_(p @ r.mT, alpha=1 - mu)
    q.copy_((r / (r.norm(dim=-2, keepdim=True) + TINY)).where(alive, q))
    d = p @ q.mT
    return d.mT if wide else d


def start(shape: tuple[int, ...]) -> Tensor:
    """Normal numbers that follow from the shape alone, so that all processes and all runs begin with the same."""
    source = torch.Generator().manual_seed(zlib.crc32(str(shape).encode()))
    return torch.randn(shape, generator=source, dtype=torch.float64)
