"""Gradients with stated scale, shape and autocorrelation, and the reason why they are what they say."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

SHAPES = ((7,), (3, 5), (2, 3, 4))
SCALES = (1e-6, 1.0, 1e6)


def fields(seed: int = 0, dtype: torch.dtype = torch.float64) -> Iterator[Tensor]:
    """Independent normal entries: every shape at every scale, no two coordinates alike."""
    generator = torch.Generator().manual_seed(seed)
    for shape in SHAPES:
        for scale in SCALES:
            yield scale * torch.randn(shape, generator=generator, dtype=dtype)


def autocorrelated(white: float, smooth: float, rho: float, steps: int) -> Tensor:
    """Rows g_1 .. g_steps with <g_i, g_j> = white [i = j] + smooth rho^|i - j|, exactly and not only on average.

    The Gram matrix of the rows of a Cholesky factor L is L L^T, the Toeplitz matrix that was factored.
    """
    lag = (torch.arange(steps)[:, None] - torch.arange(steps)[None, :]).abs()
    wanted = smooth * torch.tensor(rho, dtype=torch.float64) ** lag + white * (lag == 0)
    return torch.linalg.cholesky(wanted)


def noisy_descent(seed: int, steps: int, shapes: tuple[tuple[int, ...], ...] = SHAPES) -> list[list[Tensor]]:
    """Gradients of several tensors: a slow drift with rho = .9 plus white noise, so that choices change."""
    generator = torch.Generator().manual_seed(seed)
    drift = [torch.zeros(s, dtype=torch.float64) for s in shapes]
    stream = []
    for _ in range(steps):
        drift = [0.9 * d + 0.3 * torch.randn(d.shape, generator=generator, dtype=d.dtype) for d in drift]
        stream.append([d + 0.7 * torch.randn(d.shape, generator=generator, dtype=d.dtype) for d in drift])
    return stream
