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


def matrices(seed: int = 0, shape: tuple[int, ...] = (4, 3)) -> dict[str, Tensor]:
    """Matrices U diag(s) V^T with random U and V, by what is stated of their singular values s."""
    r = min(shape[-2:])
    spectra = {
        "apart": torch.arange(r, 0, -1.0),
        "tiny": 1e-6 * torch.arange(r, 0, -1.0),
        "huge": 1e6 * torch.arange(r, 0, -1.0),
        "repeated": torch.cat([torch.full((r - 1,), 2.0), torch.ones(1)]),
        "of rank one": torch.eye(1, r)[0],
        "of deficient rank": torch.arange(r, 0, -1.0) * (torch.arange(r) < r - 1),
        "ill": 10.0 ** -torch.linspace(0, 6, r),
    }
    return {name: spectral(s.double(), shape, seed + i) for i, (name, s) in enumerate(spectra.items())}


def spectral(s: Tensor, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Matrices of this shape that have the singular values s, with bases drawn at random."""
    source = torch.Generator().manual_seed(seed)
    *lead, m, n = shape
    u, v = (torch.linalg.qr(torch.randn(*lead, k, k, generator=source, dtype=s.dtype))[0] for k in (m, n))
    return (u[..., : len(s)] * s) @ v[..., : len(s)].mT


def directions_in_the_plane(count: int = 240) -> Tensor:
    """Unit vectors [count, 2], evenly around the circle."""
    angle = torch.linspace(0, 2 * torch.pi, count + 1, dtype=torch.float64)[:-1]
    return torch.stack([angle.cos(), angle.sin()], -1)


def directions_of_two_by_two(turns: int = 12, ratios: int = 7) -> Tensor:
    """Matrices [.., 2, 2] as rotation, diagonal (1, r) with -1 <= r <= 1, rotation: all of them up to scale."""
    c, s = directions_in_the_plane(turns).unbind(-1)
    turn = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    r = torch.linspace(-1, 1, ratios, dtype=torch.float64)
    stretch = torch.diag_embed(torch.stack([torch.ones_like(r), r], -1))
    return (turn[:, None, None] @ stretch[None, :, None] @ turn[None, None]).reshape(-1, 2, 2)
