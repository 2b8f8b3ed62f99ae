"""The term that the greedy principle leaves out, and what it does to a momentum in the long run.

One mode of a quadratic, in steps of relative size a = eta h: L = h x^2 / 2, g_n = h x_n + noise, x <- x - eta u_n. The
memory is a quasi-hyperbolic average: u = (1 - nu) g + nu m, m <- beta m + (1 - beta) g. nu = 1 is the exponential
average (EMA), nu = beta is Nesterov's, and a heavy ball of step eta is an EMA of step eta / (1 - beta).
Textbook algebra in one notation; what of it is in the paper is not public.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def drop(taps: Tensor, r: Tensor, c: Tensor, eta: float) -> Tensor:
    """The expected drop of the loss in one step, with the term of second order; exact on a quadratic.

        E[L_n - L_{n+1}] = eta P - eta^2 C / 2,     P = sum_k q_k r_k,     C = E<u, H u> = sum_jk q_j q_k c_|j-k|

    taps q [L], r_k = E<grad L_n, g_{n-k}> [L], c_k = E<g_n, H g_{n-k}> [L] of a stationary stream.

    >>> drop(torch.tensor([1.0, 0.5]), torch.tensor([2.0, 1.0]), torch.tensor([2.0, 1.0]), 0.5)
    tensor(0.8125)
    """
    return eta * (taps * r).sum() - eta**2 * bend(taps, c) / 2


def bend(taps: Tensor, c: Tensor) -> Tensor:
    """C = sum_jk q_j q_k c_|j-k|: what the curvature takes. White gradients make it c_0 |q|^2, a multiple of the power.

    >>> bend(torch.tensor([1.0, 0.5]), torch.tensor([2.0, 1.0]))
    tensor(3.5000)
    """
    lag = torch.arange(len(taps))
    return taps @ c[(lag[:, None] - lag).abs()] @ taps


def best(taps: Tensor, r: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The step that drops most, and its drop: the pay that knows the curvature.

        eta* = P / C,     drop* = P^2 / (2 C)

    The greedy pay squared is P^2 / |q|^2. Both rank filters alike if C is a multiple of |q|^2, that is for gradients
    that are white where it curves. Returns (eta*, drop*).

    >>> best(torch.tensor([1.0, 0.5]), torch.tensor([2.0, 1.0]), torch.tensor([2.0, 1.0]))
    (tensor(0.7143), tensor(0.8929))
    """
    P, C = (taps * r).sum(), bend(taps, c)
    return P / C, P**2 / (2 * C)


@dataclass(frozen=True)
class Mode:
    """One curvature under one momentum: a linear recursion of second order.

        z^2 - phi z + c,     phi = 1 + beta - a (1 - nu beta),     c = beta (1 - a (1 - nu)),     a = eta h

    a, beta, nu broadcast. The mean of x multiplies by the roots z.

    >>> Mode(torch.tensor(0.1), torch.tensor(0.9)).radius
    tensor(0.9487)
    """

    a: Tensor
    beta: Tensor
    nu: Tensor | float = 1.0

    @property
    def phi(self) -> Tensor:
        """Sum of the two roots."""
        return 1 + self.beta - self.a * (1 - self.nu * self.beta)

    @property
    def c(self) -> Tensor:
        """Product of the two roots."""
        return self.beta * (1 - self.a * (1 - self.nu))

    @property
    def radius(self) -> Tensor:
        """Largest |z|: what is left of the mean after a step, in the long run. sqrt(c) if the mean swings."""
        inner = self.phi**2 - 4 * self.c
        return torch.where(inner < 0, self.c.clamp(min=0).sqrt(), (self.phi.abs() + inner.clamp(min=0).sqrt()) / 2)

    @property
    def matrix(self) -> Tensor:
        """The step of (x, m) [..., 2, 2] in units of h m, from which everything else can be had by force.

        m <- beta m + (1 - beta) x,     x <- x - a ((1 - nu) x + nu m)
        """
        a, beta, nu = torch.broadcast_tensors(self.a, self.beta, torch.as_tensor(self.nu, dtype=self.a.dtype))
        x = torch.stack([1 - a * (1 - nu * beta), -a * nu * beta], -1)
        return torch.stack([x, torch.stack([1 - beta, beta], -1)], -2)


def edge(beta: Tensor, nu: Tensor | float = 1.0) -> Tensor:
    """The largest stable step: the mean converges for 0 < eta h < edge.

        edge = 2 (1 + beta) / (1 + beta - 2 nu beta)

    EMA 2 (1 + beta) / (1 - beta); as a heavy ball 2 (1 + beta); in steps of unit energy, sqrt(1 - beta^2)
    sum_j beta^j g, 2 sqrt((1 + beta) / (1 - beta)); Nesterov, in torch's scale, 2 (1 + beta) / (1 + 2 beta).

    >>> edge(torch.tensor([0.0, 0.5, 0.9]))
    tensor([ 2.,  6., 38.])
    """
    return 2 * (1 + beta) / (1 + beta - 2 * nu * beta)


def spread(mode: Mode) -> Tensor:
    """Variance of x at the floor under white noise, in units of eta^2 sigma^2.

        v = ((b_0^2 + b_1^2)(1 + c) - 2 b_0 b_1 phi) / ((1 - c)((1 + c)^2 - phi^2)),     b_0 = 1 - nu beta,
                                                                                         b_1 = beta (1 - nu)
    EMA: v = (1 + beta) / (a (2 (1 + beta) - a (1 - beta))). The mode must be stable.

    >>> spread(Mode(torch.tensor(0.5), torch.tensor(0.0)))
    tensor(1.3333)
    """
    b0, b1 = 1 - mode.nu * mode.beta, mode.beta * (1 - mode.nu)
    phi, c = mode.phi, mode.c
    return ((b0**2 + b1**2) * (1 + c) - 2 * b0 * b1 * phi) / ((1 - c) * ((1 + c) ** 2 - phi**2))


def steady(mode: Mode, rough: Tensor | float) -> Tensor:
    """Whether E x^2 stays bounded when the noise grows with the gradient: g = h x (1 + rough n).

        stable  <=>  the mean is stable and  rough^2 a^2 v < 1

    The noise of a step meets only what it could not have moved, so its variance goes round a loop of gain
    rough^2 a^2 v. Noise of fixed size (rough = 0) leaves the stable region as it is. EMA: a < 2 (1 + beta) /
    (1 - beta + rough^2 (1 + beta)) <= 2 / rough^2, so the wide region that `edge` promises to long memories goes first.

    >>> steady(Mode(torch.tensor([0.9, 1.1]), torch.tensor(0.0)), 1.0)
    tensor([ True, False])
    """
    return (mode.radius < 1) & (rough**2 * mode.a**2 * spread(mode) < 1)
