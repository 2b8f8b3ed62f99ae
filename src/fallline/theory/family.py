"""Families of filters with few numbers: momentum, Nesterov, quasi-hyperbolic, banks, FIR, Adam.

All live in the ball of energy |q|^2 <= B, so that their support is sqrt(B) times the largest pay, and the learning
rate eta is the budget in disguise: eta* = sqrt(B) / |q at eta = 1|. "(a, b, rho)" is the stream r_0 = a + b,
r_k = b rho^k of `noisy`. Corollaries 5 and 6 of arXiv 2512.06370 treat SGD with momentum and Adam; wording not public,
our derivation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


def momentum(beta: float, eta: float, n: int) -> Tensor:
    """Heavy ball: q_k = eta beta^k, energy eta^2 / (1 - beta^2); [n]."""
    return eta * beta ** torch.arange(n, dtype=torch.float64)


def nesterov(beta: float, eta: float, n: int) -> Tensor:
    """Nesterov: q_0 = eta (1 + beta), q_k = eta beta^{k+1}; [n]."""
    q = beta * momentum(beta, eta, n)
    q[0] += eta
    return q


def quasi(beta: float, nu: float, eta: float, n: int) -> Tensor:
    """Quasi-hyperbolic: q_0 = eta (1 - nu beta), q_k = eta nu (1 - beta) beta^k; [n].

    nu = 1: EMA. nu = beta: Nesterov over 1 / (1 - beta). nu = 0: SGD.
    """
    q = nu * (1 - beta) * momentum(beta, eta, n)
    q[0] += eta * (1 - nu)
    return q


def adam(beta: float, c: Tensor, eta: float, n: int) -> Tensor:
    """Adam with its second moment held: q_kp = eta beta^k / c_p, c = sqrt(v) + eps [d]; [n, d]."""
    return momentum(beta, eta, n)[:, None] / c.double()


def momentum_rate(beta: float, B: float = 1.0) -> float:
    """The learning rate that spends the budget: eta* = sqrt(B (1 - beta^2)).

    >>> round(momentum_rate(0.6), 3)
    0.8
    """
    return math.sqrt(B * (1 - beta**2))


def momentum_pay(beta: Tensor, a: float, b: float, rho: float) -> Tensor:
    """pay = sqrt(1 - beta^2) (a + b / (1 - beta rho)), elementwise in beta."""
    return (1 - beta**2).sqrt() * (a + b / (1 - beta * rho))


def best_momentum(a: float, b: float, rho: float) -> list[float]:
    """All beta in [0, 1) where the pay of momentum is stationary, and 0 where it falls from there; best first.

        a rho^2 beta^3 - 2 a rho beta^2 + (a + b) beta - b rho = 0

    Pure signal (a = 0): beta = rho. Pure noise (b = 0): 0. rho = 1: beta (1 - beta) = b / a, so with b / a >= 1/4 pay
    grows up to beta = 1, and the list may end in a minimum: choose among candidates below 1, not on the open interval.

    >>> best_momentum(0.0, 1.0, 0.9)
    [0.9]
    """
    roots = _roots([a * rho**2, -2 * a * rho, a + b, -b * rho])
    inside = {round(x, 12) for x in roots if 0 <= x < 1 - 1e-9} | ({0.0} if rho <= 0 or b == 0 else set())
    return sorted(inside, key=lambda x: -float(momentum_pay(torch.tensor(x, dtype=torch.float64), a, b, rho)))


def nesterov_pay(beta: Tensor, a: float, b: float, rho: float) -> Tensor:
    """[(1 + beta)(a + b) + beta^2 rho b / (1 - beta rho)] / sqrt((1 + beta)^2 + beta^4 / (1 - beta^2))."""
    power = (1 + beta) ** 2 + beta**4 / (1 - beta**2)
    return ((1 + beta) * (a + b) + beta**2 * rho * b / (1 - beta * rho)) / power.sqrt()


def quasi_pay(beta: Tensor, nu: Tensor, a: float, b: float, rho: float) -> Tensor:
    """[(1 - nu beta)(a + b) + nu (1 - beta) x b] / sqrt((1 - nu beta)^2 + nu^2 (1 - beta)^2 beta^2 / (1 - beta^2)).

    x = beta rho / (1 - beta rho)
    """
    tail, head = nu * (1 - beta), 1 - nu * beta
    power = head**2 + tail**2 * beta**2 / (1 - beta**2)
    return (head * (a + b) + tail * b * beta * rho / (1 - beta * rho)) / power.sqrt()


def best_mix(beta: float, a: float, b: float, rho: float) -> float:
    """The nu of largest pay at a given beta: the span of SGD and the EMA, solved.

        c = N^-1 (a + b, (1 - beta)(a + b / (1 - beta rho))),    N = [[1, 1 - beta], [1 - beta, (1 - beta)/(1 + beta)]]
        nu = c_2 / (c_1 + c_2)

    Above 1 it subtracts the newest gradient. Only where c_1 + c_2 > 0; else the best filter is a negative one.
    """
    e = 1 - beta
    N = torch.tensor([[1, e], [e, e / (1 + beta)]], dtype=torch.float64)
    c = torch.linalg.solve(N, torch.tensor([a + b, e * (a + b / (1 - beta * rho))], dtype=torch.float64))
    return float(c[1] / c.sum())


@final
@dataclass(frozen=True)
class Bank:
    """K fixed filters: the best of them, and the best mixture.

        a_i = <q_i, r>,  N_ij = <q_i, q_j>
        argmax:  max_i a_i / sqrt(N_ii)        span:  c = N^-1 a,  pay sqrt(a^T N^-1 a)

    q: [K, L]. The span of the L single taps is FIR: its best filter is r itself, the matched filter, of pay |r|.

    >>> bank = Bank(torch.eye(2).double())
    >>> bank.mixture(torch.tensor([3.0, 4.0])).tolist(), bank.best(torch.tensor([3.0, 4.0]))
    ([3.0, 4.0], 1)
    """

    q: Tensor

    def gram(self) -> Tensor:
        """N, [K, K]."""
        return self.q @ self.q.T

    def pays(self, r: Tensor) -> Tensor:
        """[K]."""
        return self.q @ r.to(self.q) / self.gram().diagonal().sqrt()

    def best(self, r: Tensor) -> int:
        """Who pays most."""
        return int(self.pays(r).argmax())

    def mixture(self, r: Tensor) -> Tensor:
        """c = N^+ a, [K]."""
        return torch.linalg.pinv(self.gram(), hermitian=True) @ (self.q @ r.to(self.q))

    def support(self, r: Tensor, B: float = 1.0) -> Tensor:
        """sqrt(B a^T N^+ a): what the best mixture earns with the budget B."""
        return (B * (self.q @ r.to(self.q)) @ self.mixture(r)).clamp(min=0).sqrt()


def fir(n: int) -> Bank:
    """All filters of n taps."""
    return Bank(torch.eye(n, dtype=torch.float64))


def _roots(polynomial: list[float]) -> list[float]:
    """Real roots, highest power first in, by the companion matrix."""
    while len(polynomial) > 1 and abs(polynomial[0]) < 1e-300:
        polynomial = polynomial[1:]
    companion = torch.diag(torch.ones(len(polynomial) - 2, dtype=torch.float64), -1)
    companion[0] = -torch.tensor(polynomial[1:], dtype=torch.float64) / polynomial[0]
    return [float(x.real) for x in torch.linalg.eigvals(companion) if abs(float(x.imag)) < 1e-7]
