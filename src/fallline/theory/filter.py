"""An optimizer with memory: a causal filter, its inner product with the autocorrelation, and its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .autocorrelation import Autocorrelation


@final
@dataclass(frozen=True)
class Filter:
    """A causal filter Q = (Q_0, Q_1, ..., Q_{L-1}) from gradients to updates.

        u_n = sum_k Q_k g_{n-k}        P = E<g_n, u_n> = sum_k tr(Q_k^T R_k) = <Q, R>

    Q: [L, d, d]. P is the expected drop of the loss per unit of learning rate ("learning power"), to first order.
    Source: arXiv 2512.06370, abstract of v3; Theorem 3's wording is not public, the algebra is ours.

    >>> R = Autocorrelation(torch.eye(2).double().expand(3, 2, 2))
    >>> scalar(torch.tensor([1.0, 0.5]), 2).power(R).item()
    3.0
    """

    Q: Tensor

    def power(self, R: Autocorrelation) -> Tensor:
        """<Q, R> over the lags that both have."""
        lags = min(len(self.Q), len(R.R))
        return (self.Q[:lags] * R.R[:lags]).sum()

    def energy(self) -> Tensor:
        """|Q|^2 = sum_k |Q_k|_F^2."""
        return self.Q.square().sum()

    def cost(self, c: Tensor) -> Tensor:
        """sum_k sum_ij c_i Q_kij^2: c [d] prices what goes into each coordinate of the update."""
        return (c[:, None] * self.Q.square()).sum()

    def length(self, R: Autocorrelation) -> Tensor:
        """E|u_n|^2 = tr(Q T Q^T) with Q = [Q_0 Q_1 ...]: the size of what comes out."""
        row = torch.cat(list(self.Q), 1)
        return (row @ Autocorrelation(R.R[: len(self.Q)]).blocks() * row).sum()

    def __call__(self, stream: Tensor) -> Tensor:
        """u [T, d] of a stream [T, d], from an empty memory."""
        u = torch.zeros_like(stream, dtype=torch.float64)
        for k, Q in enumerate(self.Q[: len(stream)]):
            u[k:] += stream[: len(stream) - k].double() @ Q.T
        return u


def scalar(q: Tensor, d: int) -> Filter:
    """Q_k = q_k I: taps [L] -> [L, d, d]. Then <Q, R> = sum_k q_k r_k, and |Q|^2 = d |q|^2."""
    return Filter(q.double()[:, None, None] * torch.eye(d, dtype=torch.float64))


def coordinatewise(q: Tensor) -> Filter:
    """Q_k = diag(q_k): taps [L, d], one filter for each coordinate."""
    return Filter(torch.diag_embed(q.double()))


def pay(q: Tensor, r: Tensor) -> Tensor:
    """<q, r> / |q| for taps [..., L] and traces [L]: the power that a filter has per root of energy; free of scale.

    >>> pay(torch.tensor([2.0, 0.0]), torch.tensor([3.0, 1.0])).item()
    3.0
    """
    return q @ r.to(q.dtype) / q.square().sum(-1).sqrt()
