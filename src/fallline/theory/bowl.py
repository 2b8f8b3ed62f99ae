"""The long run of a momentum on a noisy quadratic: how fast, down to where, and what the greedy pay says there.

A quadratic of curvatures h [M] falls apart into modes (see `curvature`); noise is white with variance sigma^2 in each.
All figures are expectations in closed form or by exact recursion; nothing is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .curvature import Mode, spread


@dataclass(frozen=True)
class Bowl:
    """L = 1/2 sum_i h_i x_i^2 with gradient noise sigma in every coordinate; curvatures h [M], start x_0^2 = power [M].

    >>> Bowl(torch.tensor([1.0, 0.1]), torch.ones(2), 0.3).loss
    tensor(0.5500)
    """

    h: Tensor
    power: Tensor
    sigma: float

    @property
    def loss(self) -> Tensor:
        """L at the start."""
        return (self.h * self.power).sum() / 2


def floor(bowl: Bowl, eta: Tensor, beta: Tensor, nu: float = 1.0) -> Tensor:
    """The loss that noise keeps up for ever: sum_i h_i eta^2 sigma^2 v_i / 2.

        EMA: sum_i eta sigma^2 / (4 - 2 eta h_i (1 - beta) / (1 + beta))

    At one effective lr a larger beta always ends lower, at most by the factor 1 - eta h / 2: nothing where steps are
    small. In steps of unit energy eta grows by sqrt((1 + beta) / (1 - beta)), and the floor with it. eta, beta
    broadcast. inf where a mode is not stable.

    >>> floor(Bowl(torch.ones(1), torch.ones(1), 1.0), torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.9]))
    tensor([0.5000, 0.2568])
    """
    eta, beta = (torch.as_tensor(s, dtype=bowl.h.dtype)[..., None] for s in (eta, beta))
    mode = Mode(eta * bowl.h, beta, nu)
    level = (bowl.h * eta**2 * bowl.sigma**2 * spread(mode)).sum(-1) / 2
    return torch.where((mode.radius < 1).all(-1), level, torch.inf)


def lagged(a: float, beta: float, lags: int, nu: float = 1.0) -> tuple[Tensor, Tensor]:
    """The gradient's autocorrelation at the floor, in units of sigma^2: with the true gradient, and with the batch's.

        r_k = E (h x_n) g_{n-k} / sigma^2,     R_k = E g_n g_{n-k} / sigma^2 = r_k + [k = 0]

    Two [lags]. Plain descent: r_0 = a / (2 - a), r_k = -a (1 - a)^(k - 1) / (2 - a): negative from lag 1 on, for the
    noise of a step is what the next gradients undo. R_0 + 2 (R_1 + R_2 + ...) = 0: a stream that leads nowhere.

    >>> lagged(0.5, 0.0, 3)[1]
    tensor([ 1.3333, -0.3333, -0.1667], dtype=torch.float64)
    """
    mode = Mode(torch.tensor(a, dtype=torch.float64), torch.tensor(beta, dtype=torch.float64), nu)
    A, push = mode.matrix, torch.stack([-mode.a * (1 - nu * mode.beta), 1 - mode.beta])
    S = torch.linalg.solve(torch.eye(4).double() - torch.kron(A, A), torch.outer(push, push).flatten()).view(2, 2)
    first = A @ S[:, 0] + push  # E state_n g_{n-1}; older gradients are further powers of A away
    rows = [S[0, 0]]
    for _ in range(lags - 1):
        rows, first = [*rows, first[0]], A @ first
    r = torch.stack(rows)
    return r, r + (torch.arange(lags) == 0)


def course(bowl: Bowl, eta: Tensor, beta: Tensor) -> Tensor:
    """The expected loss after each step, EMA form: eta [steps, ...] and beta, broadcast, -> [steps, ...].

        E z z^T <- A (E z z^T) A^T + sigma^2 p p^T,     z = (x, m),     p = (-eta (1 - beta), 1 - beta)

    >>> course(Bowl(torch.ones(1), torch.ones(1), 0.0), torch.full((3,), 0.5), torch.tensor(0.0))
    tensor([0.1250, 0.0312, 0.0078])
    """
    xx, h, losses = bowl.power, bowl.h, []
    xm = mm = torch.zeros_like(h)
    for e, b in zip(*torch.broadcast_tensors(eta[..., None], beta[..., None]), strict=True):
        new = b * xm + (1 - b) * h * xx  # E x_n m_{n+1}
        mm = b**2 * mm + 2 * b * (1 - b) * h * xm + (1 - b) ** 2 * (h**2 * xx + bowl.sigma**2)
        xx, xm = xx - 2 * e * new + e**2 * mm, new - e * mm
        losses.append((h * xx).sum(-1) / 2)
    return torch.stack(losses)


def greedy(bowl: Bowl, steps: int) -> tuple[Tensor, Tensor]:
    """Plain descent with the learning rate that lowers the next loss most: the greedy principle *with* curvature.

        eta_n = sum_i h_i^2 E x_i^2 / sum_i h_i (h_i^2 E x_i^2 + sigma^2)

    Still short-sighted: the steep modes set the step, and the noise there makes it small long before the flat ones
    have arrived (the short-horizon bias of Wu et al., arXiv 1803.02021). Returns (eta [steps], loss [steps]).

    >>> greedy(Bowl(torch.ones(1), torch.ones(1), 1.0), 3)[0]
    tensor([0.5000, 0.3333, 0.2500])
    """
    xx, h, rates, losses = bowl.power, bowl.h, [], []
    for _ in range(steps):
        g = h**2 * xx
        rates.append(g.sum() / (h * (g + bowl.sigma**2)).sum())
        xx = (1 - rates[-1] * h) ** 2 * xx + (rates[-1] * bowl.sigma) ** 2
        losses.append((h * xx).sum() / 2)
    return torch.stack(rates), torch.stack(losses)
