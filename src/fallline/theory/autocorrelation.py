"""What a gradient stream remembers of itself: R_k = E[g_n g_{n-k}^T], recorded or from a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

HORIZON = 4096  # impulse responses are summed up to here; a pole at .99 has then fallen to 1e-18


@final
@dataclass(frozen=True)
class Autocorrelation:
    """Autocorrelation operators of the lags 0 ... L-1.

        R_k = E[g_n g_{n-k}^T],    r_k = tr R_k = E<g_n, g_{n-k}>

    R: [L, d, d] float64. The statistic of arXiv 2512.06370; its abstract names R, the indexing is ours.

    >>> Autocorrelation(torch.eye(2).expand(3, 2, 2)).traces.tolist()
    [2.0, 2.0, 2.0]
    """

    R: Tensor

    def __post_init__(self) -> None:
        if self.R.ndim != 3 or self.R.shape[1] != self.R.shape[2] or not len(self.R):
            raise ValueError(f"R must be [lags, d, d], one square matrix for each lag, but got {list(self.R.shape)}.")

    @property
    def traces(self) -> Tensor:
        """r_k, [L]: all that a filter of plain numbers meets."""
        return self.R.diagonal(dim1=-2, dim2=-1).sum(-1)

    def blocks(self) -> Tensor:
        """T [L d, L d] with blocks E[g_{n-j} g_{n-k}^T] = R_{k-j}, or R_{j-k}^T where k < j; PSD always."""
        lags = range(len(self.R))
        rows = [[self.R[k - j] if k >= j else self.R[j - k].T for k in lags] for j in lags]
        return torch.cat([torch.cat(row, 1) for row in rows])


def recorded(stream: Tensor, lags: int) -> Autocorrelation:
    """From a run: [T, d] gradients -> R [lags, d, d], explicit, so for small d.

        R_k = (1 / T) sum_{n >= k} g_n g_{n-k}^T

    Dividing by T, not T - k, keeps `blocks()` PSD, and <q, r> is exactly the run's mean alignment from an empty memory.
    """
    g = _matrix(stream, lags)
    return Autocorrelation(torch.stack([g[k:].T @ g[: len(g) - k] for k in range(lags)]) / len(g))


def traces(stream: Tensor, lags: int) -> Tensor:
    """r_k of a run of any width, [T, d] -> [lags]: (1 / T) sum_{n >= k} <g_n, g_{n-k}>, by FFT.

    >>> traces(torch.ones(4, 2), 2).tolist()
    [2.0, 1.5]
    """
    g = _matrix(stream, lags)
    spectrum = torch.fft.rfft(g, 2 * len(g), dim=0).abs().square().sum(1)
    return torch.fft.irfft(spectrum, 2 * len(g))[:lags] / len(g)


def noisy(a: float, b: float, rho: float, lags: int) -> Tensor:
    """White noise of power a on a signal of power b whose memory falls like rho^k, [lags].

        r_0 = a + b,    r_k = b rho^k

    >>> noisy(1, 1, 0.5, 3).tolist()
    [2.0, 0.5, 0.25]
    """
    r = b * rho ** torch.arange(lags, dtype=torch.float64)
    r[0] += a
    return r


@final
@dataclass(frozen=True)
class Arma:
    """A synthetic stream of known autocorrelation: ARMA in time, covariance C across coordinates.

        g_n = sum_i ar_i g_{n-i} + e_n + sum_j ma_j e_{n-j},    e ~ N(0, C)
        g_n = sum_j psi_j e_{n-j}    =>    R_k = C sum_j psi_{j+k} psi_j

    C: [d, d]. The poles must lie inside the unit circle.

    >>> Arma((0.5,), (), torch.eye(1).double()).autocorrelation(3).traces
    tensor([1.3333, 0.6667, 0.3333], dtype=torch.float64)
    """

    ar: tuple[float, ...]
    ma: tuple[float, ...]
    C: Tensor

    def __post_init__(self) -> None:
        if len(self.ar) and _radius(self.ar) >= 1:
            raise ValueError(f"ar = {self.ar} has a pole on or outside the unit circle: the stream would not settle.")

    def weights(self, n: int = HORIZON) -> Tensor:
        """psi_0 ... psi_{n-1}: psi_k = ma_k + sum_i ar_i psi_{k-i}, with ma_0 = 1."""
        psi = [1.0, *self.ma][:n] + [0.0] * max(0, n - 1 - len(self.ma))
        for k in range(1, n):
            psi[k] += sum(a * psi[k - i] for i, a in enumerate(self.ar, 1) if i <= k)
        return torch.tensor(psi, dtype=torch.float64)

    def autocorrelation(self, lags: int) -> Autocorrelation:
        """R_k in closed form (the sum is cut at HORIZON)."""
        psi = self.weights(HORIZON + lags)
        r = torch.stack([(psi[k : k + HORIZON] * psi[:HORIZON]).sum() for k in range(lags)])
        return Autocorrelation(r[:, None, None] * self.C.double())

    def stream(self, n: int, generator: torch.Generator, warm: int = 512) -> Tensor:
        """n gradients after `warm` steps that are thrown away, [n, d]."""
        values, vectors = torch.linalg.eigh(self.C.double())
        root = vectors * values.clamp(min=0).sqrt()
        e = torch.randn(n + warm, len(root), dtype=torch.float64, generator=generator) @ root.T
        return convolve(self.weights(min(warm, HORIZON)), e)[warm:]


def convolve(q: Tensor, stream: Tensor) -> Tensor:
    """u_n = sum_k q_k g_{n-k} from an empty memory: taps [L] and [T, d] -> [T, d], by FFT."""
    size = len(q) + len(stream)
    spectrum = torch.fft.rfft(q.double(), size)[:, None] * torch.fft.rfft(stream.double(), size, dim=0)
    return torch.fft.irfft(spectrum, size, dim=0)[: len(stream)]


def _radius(ar: tuple[float, ...]) -> float:
    """The largest pole: eigenvalues of the companion matrix."""
    companion = torch.diag(torch.ones(len(ar) - 1, dtype=torch.float64), -1)
    companion[0] = torch.tensor(ar, dtype=torch.float64)
    return float(torch.linalg.eigvals(companion).abs().max())


def _matrix(stream: Tensor, lags: int) -> Tensor:
    if stream.ndim != 2 or not 0 < lags <= len(stream):
        raise ValueError(f"Need a stream [T, d] with at least {lags} steps and one lag, but got {list(stream.shape)}.")
    return stream.double()
