"""Optimality under projection: holds under its condition, and fails without each part of it."""

from __future__ import annotations

import pytest
import torch

from fallline.theory import (
    Autocorrelation,
    LagBall,
    best_ray,
    cone_mixture,
    matched,
    momentum,
    nearest_ray,
    noisy,
    project,
    share,
)

from .test_autocorrelation import drawn

BETAS = torch.linspace(0, 0.99, 100, dtype=torch.float64)
CURVE = torch.stack([momentum(float(x), 1.0, 400) for x in BETAS])


def geometry(n: int) -> torch.Tensor:
    A = drawn(n, n)
    return A @ A.T + torch.eye(n)


@pytest.mark.parametrize("M", [torch.eye(8).double(), geometry(8)], ids=["plain", "skew"])
def test_the_projected_optimum_is_the_subspaces_optimum(M) -> None:
    """In the ball of M: nobody of the span earns more than the projection of M^-1 r; and it earns `share` of all."""
    r, V = drawn(9)[1:], drawn(3, 8)
    q = project(matched(r, M), V, M)
    others = drawn(20_000, 3) @ V
    earned = others @ r / ((others @ M) * others).sum(-1).sqrt()
    mine = q @ r / (q @ M @ q).sqrt()
    assert earned.max() <= mine * (1 + 1e-12) and earned.max() > 0.98 * mine
    torch.testing.assert_close(share(r, V, M), mine / (r @ matched(r, M)).sqrt())


@pytest.mark.parametrize("stream", [(1, 1, 0.9), (0, 1, 0.9), (1, 0.2, 0.9), (1, 1, 0.99)])
def test_the_nearest_momentum_is_the_best(stream) -> None:
    """A curve is neither convex nor flat; a free learning rate is enough."""
    r, M = noisy(*stream, 400), torch.eye(400).double()
    assert nearest_ray(r, CURVE, M) == best_ray(r, CURVE, M)


def test_the_cone_is_beaten_by_no_mixture() -> None:
    r, V = drawn(9)[1:], drawn(3, 8)
    c = cone_mixture(r, V)
    others = drawn(20_000, 3).abs() @ V
    assert (others @ r / others.norm(dim=1)).max() <= (c @ V @ r) / (c @ V).norm() * (1 + 1e-12)
    assert (V @ (r - c @ V) <= 1e-10).all()  # Moreau


def test_not_in_another_inner_product() -> None:
    """Counter-example 1: the ball's prices are (1, 100), and the distance is measured without them."""
    M, r, rays = torch.diag(torch.tensor([1.0, 100.0])), torch.tensor([1.05, 100.0]), torch.eye(2)
    assert best_ray(r, rays, M) == nearest_ray(matched(r, M), rays, M) == 1  # earns 10 against 1.05
    assert nearest_ray(matched(r, M), rays, torch.eye(2)) == 0  # M^-1 r = (1.05, 1) is plainly nearer to the first


def test_not_in_an_operator_norm() -> None:
    """Counter-example 2: spectral ball of diagonal matrices, |q|_inf <= 1, r = (1, .1). Its optimum (1, 1) is
    nearer to the ray of (.8, 1), which earns .9, than to that of (1, 0), which earns 1."""
    r, rays = torch.tensor([1.0, 0.1]), torch.tensor([[1.0, 0.0], [0.8, 1.0]])
    optimum = LagBall().optimum(Autocorrelation(torch.diag(r)[None])).Q[0].diagonal()
    torch.testing.assert_close(optimum, torch.ones(2))
    assert (rays @ r / rays.abs().amax(1)).argmax() == 0
    assert nearest_ray(optimum, rays, torch.eye(2)) == 1


def test_not_at_a_fixed_scale() -> None:
    """Counter-example 3: EMAs, whose sum of taps is 1. The one nearest to r is not the one that pays best."""
    r = noisy(1, 1, 0.99, 400)
    ema = CURVE * (1 - BETAS)[:, None]
    nearest = (r - ema).norm(dim=1).argmin()
    assert best_ray(r, ema, torch.eye(400).double()) == best_ray(r, CURVE, torch.eye(400).double()) != nearest
