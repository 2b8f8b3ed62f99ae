"""The trust regions of stateless optimizers, lifted to filters: who is best when memory is allowed.

A stateless family prices one matrix Q; lifted, it prices the sequence (Q_0, Q_1, ...), and R takes the place of
Sigma. Each region has `optimum(R)`, a maximiser of <Q, R>, and `support(R)`, its value. Theorem 3 of arXiv 2512.06370
is of this kind; its wording is not public, and these lifts and their optima are our derivation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .autocorrelation import Autocorrelation
from .filter import Filter


@final
@dataclass(frozen=True)
class EnergyBall:
    """Frobenius ball over all lags: the matched filter.

        sum_k |Q_k|_F^2 <= B        Q_k* = sqrt(B) R_k / |R|        support = sqrt(B) |R|

    >>> R = Autocorrelation(torch.tensor([[[3.0]], [[4.0]]]).double())
    >>> EnergyBall(1.0).optimum(R).Q.flatten()
    tensor([0.6000, 0.8000], dtype=torch.float64)
    """

    B: float = 1.0

    def optimum(self, R: Autocorrelation) -> Filter:
        """The matched filter."""
        return Filter(R.R * (self.B**0.5 / R.R.norm()))

    def support(self, R: Autocorrelation) -> Tensor:
        """sqrt(B) |R|."""
        return self.B**0.5 * R.R.norm()


@final
@dataclass(frozen=True)
class OutputBall:
    """Data metric (the stateless "Lyapunov" family): what is bounded is the update's expected length.

        E|u_n|^2 <= B        Q* = sqrt(B / tr R_0) (I, 0, 0, ...)        support = sqrt(B tr R_0)

    No memory at all: by Cauchy-Schwarz E<g, u> <= sqrt(E|g|^2 E|u|^2), and u along g attains it. Whoever judges filters
    by the length of their output, on the same batch, will always choose SGD.
    """

    B: float = 1.0

    def optimum(self, R: Autocorrelation) -> Filter:
        """SGD."""
        Q = torch.zeros_like(R.R)
        Q[0] = torch.eye(Q.shape[-1], dtype=Q.dtype) * (self.B / R.traces[0]).sqrt()
        return Filter(Q)

    def support(self, R: Autocorrelation) -> Tensor:
        """sqrt(B tr R_0)."""
        return (self.B * R.traces[0]).sqrt()


@final
@dataclass(frozen=True)
class CostBall:
    """Diagonal filters, coordinate p at price c_p: Adam's metric where c = sqrt(v) + eps.

        Q_k = diag(q_k),  sum_k sum_p c_p q_kp^2 <= B
        q_kp* = sqrt(B) (R_kpp / c_p) / s        s = (sum_k sum_p R_kpp^2 / c_p)^1/2        support = sqrt(B) s

    c: [d]. The price of Adam's own kernel eta beta^k / c_p is eta^2 sum_p (1 / c_p) / (1 - beta^2).
    """

    c: Tensor
    B: float = 1.0

    def optimum(self, R: Autocorrelation) -> Filter:
        """A matched filter for each coordinate, divided by its price."""
        q = R.R.diagonal(dim1=-2, dim2=-1) / self.c
        return Filter(torch.diag_embed(q * (self.B / self.support(R))))

    def support(self, R: Autocorrelation) -> Tensor:
        """sqrt(B sum R_kpp^2 / c_p)."""
        return (self.B * (R.R.diagonal(dim1=-2, dim2=-1).square() / self.c).sum()).sqrt()


@final
@dataclass(frozen=True)
class LagBall:
    """Spectral ball at every lag: polar factors.

        |Q_k|_op <= lam        Q_k* = lam U_k V_k^T  of  R_k = U_k S_k V_k^T        support = lam sum_k |R_k|_*

    Q_k is not asked to be PSD: R_k of a lag k >= 1 is not symmetric in general.
    """

    lam: float = 1.0

    def optimum(self, R: Autocorrelation) -> Filter:
        """Polar factors."""
        U, _, Vh = torch.linalg.svd(R.R)
        return Filter(self.lam * U @ Vh)

    def support(self, R: Autocorrelation) -> Tensor:
        """lam times the sum of all singular values."""
        return self.lam * torch.linalg.svdvals(R.R).sum()
