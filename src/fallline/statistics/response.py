"""Closed forms of one-pole filters: taps, gain and inner products at any age.

The family is the quasi-hyperbolic average u_n = (1 - nu) g_n + nu m_n of the exponential average m_n = beta m_{n-1} +
(1 - beta) g_n (m_0 = 0), whose impulse response is

    q_0 = (1 - nu) + nu (1 - beta),    q_j = nu (1 - beta) beta^j.

nu = 1 is the EMA, nu = beta is Nesterov's momentum over 1 / (1 - beta), and a heavy ball is an EMA over 1 / (1 - beta).
"""

from __future__ import annotations

import torch
from torch import Tensor


def taps(beta: float, nu: float, n: int) -> Tensor:
    """Impulse response of the family, [n] float64."""
    q = nu * (1 - beta) * beta ** torch.arange(n, dtype=torch.float64)
    q[:1] += 1 - nu
    return q


def gain(beta: Tensor, nu: Tensor, t: Tensor) -> Tensor:
    """Sum of the first t taps: (1 - nu) + nu (1 - beta^t)."""
    return 1 - nu * beta**t


def gram(beta: Tensor, nu: Tensor, t: Tensor) -> Tensor:
    """Inner products of K filters over their first t taps: beta, nu [K] -> [K, K].

        N_ij = q_0i q_0j + nu_i nu_j (1 - b_i) (1 - b_j) (b_i b_j - (b_i b_j)^t) / (1 - b_i b_j)

    t = inf gives the asymptotic power; the diagonal holds the filters' energies.
    """
    return aged(*pairs(beta, nu), t)


def aged(head: Tensor, tail: Tensor, both: Tensor, t: Tensor) -> Tensor:
    """N_ij at age t, from what does not age."""
    return head + tail * (both - both**t)


def pairs(beta: Tensor, nu: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What does not age in N_ij: q_0i q_0j, nu_i nu_j (1 - b_i) (1 - b_j) / (1 - b_i b_j) and b_i b_j; each [K, K]."""
    head, tail, both = 1 - nu * beta, nu * (1 - beta), beta[:, None] * beta
    return head[:, None] * head, tail[:, None] * tail / (1 - both), both


def moving(s: Tensor, e: Tensor, beta: Tensor, nu: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and energy of the taps of (1 - nu) g + nu m, where s and e are those of m and its newest tap is 1 - beta."""
    return 1 - nu + nu * s, (1 - nu) ** 2 + 2 * (1 - nu) * nu * (1 - beta) + nu**2 * e
