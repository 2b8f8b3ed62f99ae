"""Optimality is conserved under projection: when the nearest filter of a sub-family is also the best one.

Let <., .>_M be an inner product on filters, the family its ball, and V a sub-family closed under multiplication by
positive numbers (a subspace, a convex cone, or a curve of filters with a free learning rate). Then

    min over q in V of |q* - q|_M^2    and    max over q in V, |q|_M^2 <= B, of <q, r>

have the same direction as solution, where q* = M^-1 r (up to scale) is the whole ball's optimum: for every q of norm 1,
min over s >= 0 of |q* - s q|_M^2 = |q*|_M^2 - max(0, <q, r>)^2.

The condition has three parts, and `tests/theory/test_projection.py` breaks each: the family is a ball of an inner
product (not of an operator norm), the distance is measured in that same inner product, and V is free in scale.
Lemma 4 of arXiv 2512.06370 says that optimality is kept under projection on a sub-family; its wording and condition
are not public, these are ours.
"""

from __future__ import annotations

import torch
from torch import Tensor


def matched(r: Tensor, M: Tensor) -> Tensor:
    """q* = M^-1 r, the direction of the whole ball's optimum: [n], [n, n] -> [n]."""
    return torch.linalg.solve(M, r)


def project(x: Tensor, V: Tensor, M: Tensor) -> Tensor:
    """The point of span(rows of V) nearest to x in the norm of M: V^T (V M V^T)^+ V M x; [n], [K, n], [n, n] -> [n].

    >>> project(torch.tensor([3.0, 4.0]), torch.tensor([[0.0, 2.0]]), torch.eye(2)).tolist()
    [0.0, 4.0]
    """
    return V.T @ torch.linalg.pinv(V @ M @ V.T, hermitian=True) @ (V @ (M @ x))


def nearest_ray(x: Tensor, rays: Tensor, M: Tensor) -> int:
    """Which ray {s q_k, s >= 0} comes nearest to x in the norm of M; rays [K, n]. At equality the first.

    min_s |x - s q|_M^2 = |x|_M^2 - max(0, <x, q>_M)^2 / |q|_M^2
    """
    inner = (rays @ M @ x).clamp(min=0)
    size = ((rays @ M) * rays).sum(-1)
    return int((inner.square() / size).argmax())


def best_ray(r: Tensor, rays: Tensor, M: Tensor) -> int:
    """Which ray earns most in the ball |q|_M^2 <= B: argmax <q_k, r> / |q_k|_M."""
    return int((rays @ r / ((rays @ M) * rays).sum(-1).sqrt()).argmax())


def share(r: Tensor, V: Tensor, M: Tensor) -> Tensor:
    """What the span of V earns of what the whole ball earns: |projection| / |q*|, the cosine of their angle, in [0, 1].

    >>> share(torch.tensor([3.0, 4.0]), torch.tensor([[0.0, 2.0]]), torch.eye(2))
    tensor(0.8000)
    """
    whole = matched(r, M)
    part = project(whole, V, M)
    return ((part @ M @ part) / (whole @ M @ whole)).sqrt()


def cone_mixture(r: Tensor, V: Tensor) -> Tensor:
    """The nearest mixture with weights >= 0 of the rows of V, in the plain norm; weights [K], exact for K <= 12.

    Moreau: its residual makes an angle of at least 90 degrees with every row, so it is the cone's best payer, too.
    """
    N, a = V @ V.T, V @ r
    best, worth = torch.zeros_like(a), 0.0
    for chosen in range(1, 2 ** len(V)):
        face = torch.tensor([bool(chosen >> k & 1) for k in range(len(V))])
        c = torch.zeros_like(a)
        c[face] = torch.linalg.pinv(N[face][:, face], hermitian=True) @ a[face]
        if (c >= 0).all() and float(c @ a) > worth:
            best, worth = c, float(c @ a)
    return best
