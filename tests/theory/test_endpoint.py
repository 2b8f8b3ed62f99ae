"""End points: the formula against simulations, and what does and does not change them."""

from __future__ import annotations

import pytest
import torch

from fallline.statistics.response import taps as momentum
from fallline.theory import LeastSquares, commutator, complexity, decayed, end, filtered, kernel, switched

P, N = 7, 3


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(seed=0):
    """More parameters than data, and curvature of size 1."""
    J = normal(N, P, seed=seed)
    return LeastSquares(J / torch.linalg.matrix_norm(J, 2), normal(N, seed=seed + 1))


def psd(rank=P, seed=2):
    """A matrix of this rank whose largest eigenvalue is 1."""
    A = normal(P, rank, seed=seed)
    return A @ A.mT / torch.linalg.matrix_norm(A, 2) ** 2


OPTIMIZERS = {
    "plain": torch.eye(P, dtype=torch.float64),
    "diagonal": torch.diag(torch.linspace(0.2, 1, P, dtype=torch.float64)),
    "full": psd() + 0.2 * torch.eye(P, dtype=torch.float64),
}
START = normal(P, seed=9)


def near(a, b, tolerance=1e-8):
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("beta, nu", [(0.0, 1.0), (0.9, 1.0), (0.9, 0.9), (0.5, -0.3)])
def test_memory_changes_the_way_and_not_the_end(name, beta, nu):
    Q, p = OPTIMIZERS[name], problem()
    taps = momentum(beta, nu, 200)
    there = filtered(p, (taps / taps.sum())[:, None, None] * Q, START, eta=0.5, steps=1500)
    assert p.loss(there) < 1e-16
    assert near(there, end(p, Q, START))


def test_only_the_sum_of_the_taps_matters_though_they_do_not_commute():
    p, taps = problem(), torch.stack([psd(P, seed) + 0.1 * torch.eye(P, dtype=torch.float64) for seed in (3, 4, 5)])
    assert torch.linalg.norm(taps[0] @ taps[1] - taps[1] @ taps[0]) > 0.1
    assert near(filtered(p, taps, START, eta=0.3, steps=1500), end(p, taps.sum(0), START))


def test_mini_batches_and_a_schedule_end_at_the_same_point():
    p, theta = problem(), START
    for n in range(3000):
        theta = theta - (0.5 + 0.4 * torch.sin(torch.tensor(n))) * OPTIMIZERS["full"] @ p.gradient(theta, [n % N])
    assert near(theta, end(p, OPTIMIZERS["full"], START))


@pytest.mark.parametrize("rank", [1, 2])
def test_a_matrix_that_cannot_fit_fits_as_well_as_it_can(rank):
    p, Q = problem(), psd(rank)
    there = end(p, Q, START)
    assert near(filtered(p, Q[None], START, eta=1.0, steps=2500), there)
    assert torch.linalg.norm(Q @ p.gradient(there)) < 1e-9 < p.loss(there)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_end_is_the_minimum_norm_solution(name):
    p, Q = problem(), OPTIMIZERS[name]
    moved = end(p, Q, START) - START
    assert near(complexity(p, Q, START), moved @ torch.linalg.solve(Q, moved))
    free = torch.linalg.svd(p.J)[2][N:].mT  # directions that no datum sees
    for seed in range(20):
        other = moved + free @ normal(P - N, seed=seed)
        assert other @ torch.linalg.solve(Q, other) > complexity(p, Q, START)


def test_predictions_are_those_of_kernel_interpolation():
    p, Q, x = problem(), OPTIMIZERS["full"], normal(5, P, seed=8)
    weights = torch.linalg.solve(kernel(p.J, Q), p.y - p.J @ START)
    assert near(x @ end(p, Q, START), x @ START + kernel(x, Q, p.J) @ weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decoupled_decay_is_ridge_regression_with_the_kernel_and_coupled_decay_without(name):
    p, Q, decay, apart, inside = problem(), OPTIMIZERS[name], 0.3, START, START
    for _ in range(3000):
        apart = apart - 0.5 * (Q @ p.gradient(apart) + decay * apart)
        inside = inside - 0.5 * Q @ (p.gradient(inside) + decay * inside)
    assert near(apart, decayed(p, Q, decay))
    assert near(inside, decayed(p, OPTIMIZERS["plain"], decay))


def commuting(problem, spectrum):
    """A matrix with the eigenvectors of J^T J and these eigenvalues."""
    V = torch.linalg.svd(problem.J)[2]
    return V.mT @ torch.diag(spectrum) @ V


def test_matrices_that_commute_with_the_curvature_may_change_at_will():
    p = problem()
    path = [commuting(p, torch.rand(P, dtype=torch.float64) + 0.1) for _ in range(3000)]
    assert max(commutator(p, Q) for Q in path[:20]) < 1e-14
    assert near(switched(p, path, START, eta=0.9), end(p, OPTIMIZERS["plain"], START))


def test_matrices_that_do_not_commute_end_where_their_order_says():
    p = LeastSquares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([1.0]).double())
    first, second = (torch.diag(torch.tensor(d)).double() for d in ([1.0, 0.2], [0.2, 1.0]))
    zero = torch.zeros(2).double()
    one_way = switched(p, [first] * 2 + [second] * 200, zero, eta=0.5)
    other_way = switched(p, [second] * 2 + [first] * 200, zero, eta=0.5)
    assert p.loss(one_way) < 1e-16 and p.loss(other_way) < 1e-16
    assert commutator(p, first) > 0.1 and torch.linalg.norm(one_way - other_way) > 0.5
    # the matrices themselves commute: what counts is whether they commute with the curvature
    assert near(first @ second, second @ first)


def test_shapes_are_checked_in_words():
    with pytest.raises(ValueError, match=r"J is \[N, P\] and y \[N\]; these are \[2, 3\] and \[3\]"):
        LeastSquares(torch.zeros(2, 3), torch.zeros(3))
