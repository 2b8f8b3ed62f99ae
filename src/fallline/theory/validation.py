"""What scores a filter: validation gradients, and what same-batch, later-batch and half-batch scores estimate.

The gradient is signal and noise, g_n = s_n + e_n with white noise E[e e^T] = C, and the score of taps q wants to know

    a = E<s_n, u_n>,    u_n = sum_k q_k g_{n-k}        (the drop of the expected loss, not of this batch's)

Proposition 10 of arXiv 2512.06370 (choice by the validation gradient is optimal for the validation loss) has no
public wording; here it is the linear functional <Q, X> with X in the place of R. The estimators are our derivation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


def cross(valid: Tensor, stream: Tensor, lags: int) -> Tensor:
    """X_k = E[v_n g_{n-k}^T], recorded: [T, d] twice -> [lags, d, d].

        X_k = (1 / T) sum_{n >= k} v_n g_{n-k}^T        P_val = sum_k tr(Q_k^T X_k) = <Q, X>

    The drop of the validation loss is linear in Q as before, so every family's optimum is its optimum at X. X_0 is not
    symmetric in general: families of PSD matrices see its symmetric part only.

    >>> cross(torch.ones(4, 1), torch.ones(4, 1), 2).flatten().tolist()
    [1.0, 0.75]
    """
    v, g = valid.double(), stream.double()
    return torch.stack([v[k:].T @ g[: len(g) - k] for k in range(lags)]) / len(g)


def same_batch(q: Tensor, g: Tensor) -> Tensor:
    """<g_n, u_n>, newest gradient first: taps [L], g [..., L, d] -> [...]. Contains the noise power q_0 tr C."""
    return (g[..., 0, :] * torch.einsum("k,...kd->...d", q, g)).sum(-1)


def later_batch(q: Tensor, g: Tensor) -> Tensor:
    """<g_n, u_n - q_0 g_n>: only lags >= 1. Without the noise power, and without the signal's own q_0 E|s|^2."""
    return (g[..., 0, :] * torch.einsum("k,...kd->...d", q[1:], g[..., 1:, :])).sum(-1)


def half_batches(q: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Two micro-batches of half the size, g = (a + b) / 2: at lag 0 the halves score each other.

        q_0 <a_n, b_n> + <g_n, sum_{k >= 1} q_k g_{n-k}>    =    same batch - q_0 |a_n - b_n|^2 / 4

    The second form: |a - b|^2 / 4 estimates tr C, so it is the same-batch score with the noise power taken off.
    """
    return q[0] * (a[..., 0, :] * b[..., 0, :]).sum(-1) + later_batch(q, (a + b) / 2)


def noise_power(a: Tensor, b: Tensor) -> Tensor:
    """|a - b|^2 / 4 estimates tr C of the mean of two halves: [..., d] -> [...]."""
    return (a - b).square().sum(-1) / 4


@final
@dataclass(frozen=True)
class Score:
    """Bias and variance of the scores for a steady signal s and Gaussian white noise of covariance C.

        a = (q_0 + Q) |s|^2,   Q = sum_{k>=1} q_k,   E = sum_{k>=1} q_k^2,   x = s^T C s,   y = tr C^2

        score        bias            variance
        same batch   q_0 tr C        ((2 q_0 + Q)^2 + E) x + (2 q_0^2 + E) y
        lags >= 1    -q_0 |s|^2      (Q^2 + E) x + E y
        two halves   0               ((2 q_0 + Q)^2 + E) x + (4 q_0^2 + E) y
        validation   0               (q_0 + Q)^2 s^T D s + (q_0^2 + E)(x + tr C D),   D the validation noise

    A moving signal changes the variances, not the biases, but that row 2's is -q_0 E|s_n|^2. Validation: if its loss
    has the same gradient s; where it has another, the score estimates that one, without bias.
    q: [L]; s: [d]; C: [d, d].

    >>> Score(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0]), torch.eye(2)).same_batch()
    (2.0, 16.0)
    """

    q: Tensor
    s: Tensor
    C: Tensor

    def target(self) -> float:
        """a."""
        return float(self.q.sum() * (self.s @ self.s))

    def same_batch(self) -> tuple[float, float]:
        """Bias and variance."""
        q0, Q, E, x, y = self._parts()
        return q0 * float(self.C.trace()), ((2 * q0 + Q) ** 2 + E) * x + (2 * q0**2 + E) * y

    def later_batch(self) -> tuple[float, float]:
        """Bias and variance."""
        q0, Q, E, x, y = self._parts()
        return -q0 * float(self.s @ self.s), (Q**2 + E) * x + E * y

    def half_batches(self) -> tuple[float, float]:
        """Bias and variance."""
        q0, Q, E, x, y = self._parts()
        return 0.0, ((2 * q0 + Q) ** 2 + E) * x + (4 * q0**2 + E) * y

    def validation(self, D: Tensor) -> tuple[float, float]:
        """Bias and variance, D [d, d]: the covariance of the validation gradient's noise."""
        q0, Q, E, x, _ = self._parts()
        theirs = float(self.s @ D @ self.s)
        return 0.0, (q0 + Q) ** 2 * theirs + (q0**2 + E) * (x + float((self.C * D).sum()))

    def _parts(self) -> tuple[float, float, float, float, float]:
        """q_0, Q, E, x, y."""
        tail = self.q[1:]
        x, y = self.s @ self.C @ self.s, self.C.square().sum()
        return float(self.q[0]), float(tail.sum()), float(tail.square().sum()), float(x), float(y)
