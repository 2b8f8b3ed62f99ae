"""Optimizers that the families give back: SGD, AdaGrad, RMSprop, sign, Shampoo, and every norm of the library."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import fallline
from fallline.core.memory import Memory
from fallline.core.part import Ball as Norm
from fallline.core.part import Metric
from fallline.metrics import SVD
from fallline.theory import Ball, Data, Diagonal, Frobenius, Kronecker, Spectral, costs, pairing, rooted
from laws import region as laws

S = laws.turn(torch.tensor([3.0, 1.0, 0.5, 0.1]).double(), 9)
G = laws.orthogonal(3, 4)[:2] * torch.tensor([[3.0], [1.0]]).double()
T = torch.tensor(3.0, dtype=torch.float64)
MEM = Memory({})


def outer(g: Tensor) -> Tensor:
    return torch.outer(g.flatten(), g.flatten())


# --- vectors ----------------------------------------------------------------------------------------------------------


def test_sgd() -> None:
    """One gradient: Frobenius, spectral and data all give a multiple of g."""
    g = torch.tensor([3.0, -4.0]).double()
    assert_close(Frobenius(4.0).optimum(outer(g)) @ g, 2 * g)
    assert_close(Spectral(2.0, 2.0).optimum(outer(g)) @ g, 2 * g)
    assert_close(Data(outer(g), 25.0).optimum(outer(g)) @ g, g)


def test_the_data_region_gives_sgd_its_learning_rate() -> None:
    assert_close(Data(S, 2.0).optimum(S), (2.0 / S.trace()).sqrt() * torch.eye(4).double())


@pytest.mark.parametrize("r", [0.0, 0.25, 0.5, 1.0])
def test_powers_of_the_moment(r: float) -> None:
    """Data(S^(1 + r)) gives S^-r: SGD, .., full-matrix AdaGrad, the inverse of the empirical Fisher matrix."""
    Q = Data(rooted(S, 1 + r)).optimum(S)
    laws.near(Q / Q.norm(), rooted(S, -r) / rooted(S, -r).norm(), 1e-9)


def test_adagrad_rmsprop_and_sign() -> None:
    gs = torch.randn(5, 4, dtype=torch.float64)
    summed = torch.einsum("ti,tj->ij", gs, gs)
    B = float((summed.diagonal() ** 0.5).sum())  # with this budget the factor is 1
    u = Diagonal(costs(summed), B).optimum(summed) @ gs[-1]
    assert_close(u, gs[-1] / summed.diagonal().sqrt())
    one = Diagonal(costs(outer(gs[0])), float(gs[0].abs().sum())).optimum(outer(gs[0])) @ gs[0]
    assert_close(one, gs[0].sign())


def test_rmsprop_is_torchs() -> None:
    """Q* g is the step of torch's RMSprop, and of Adam without beta1, on the same averages."""
    gs, w = torch.randn(6, 4, dtype=torch.float64), torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    peer, v = torch.optim.RMSprop([w], lr=1.0, alpha=0.9, eps=0.0), torch.zeros(4, 4, dtype=torch.float64)
    for g in gs:
        v, before, w.grad = 0.9 * v + 0.1 * outer(g), w.detach().clone(), g.clone()
        peer.step()
        Q = Diagonal(costs(v), float(v.diagonal().sqrt().sum())).optimum(v)
        assert_close(before - w.detach(), Q @ g)


# --- matrices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("r", [0.0, 0.25, 0.5])
def test_shampoo_of_a_kronecker_moment(r: float) -> None:
    """S = A x C: the best factors are A^-r and C^-r; r = 1/2 makes Q = S^-1/2."""
    A, C = laws.turn(torch.tensor([3.0, 1.0]).double(), 1), laws.turn(torch.tensor([2.0, 1.0, 0.2]).double(), 2)
    Q = Kronecker(rooted(A, 1 + r), rooted(C, 1 + r)).optimum(torch.kron(A, C))
    wanted = torch.kron(rooted(A, -r), rooted(C, -r))
    laws.near(Q / Q.norm(), wanted / wanted.norm(), 1e-7)


def test_shampoo() -> None:
    """One gradient, costs G G^T and G^T G: Shampoo's roots attain the support, and so does SGD. A tie."""
    A, C = G @ G.mT, G.mT @ G
    region = Kronecker(A, C)
    for L, R in ((rooted(A, -0.25), rooted(C, -0.25)), (rooted(A, 0.0), rooted(C, 0.0))):
        Q = torch.kron(L, R)
        assert_close(pairing(Q / region.gauge(Q), outer(G)), region.support(outer(G)))
    update = rooted(A, -0.25) @ G @ rooted(C, -0.25)
    U, _, Vt = torch.linalg.svd(G, full_matrices=False)
    assert_close(update, U @ Vt)


def test_alternating_finds_the_kronecker_optimum() -> None:
    """L ~ E[G R G^T], R ~ E[G^T L G] with unit costs, from R = I. The first L is Shampoo's sum."""
    gs = torch.randn(7, 2, 3, dtype=torch.float64)
    moment = torch.einsum("tij,tkl->ijkl", gs, gs).reshape(6, 6) / 7
    L, R = torch.eye(2).double(), torch.eye(3).double()
    for _ in range(200):
        L = torch.einsum("tij,jl,tkl->ik", gs, R, gs)
        R = torch.einsum("tij,ik,tkl->jl", gs, L / L.norm(), gs)
        L, R = L / L.norm(), R / R.norm()
    laws.near(Kronecker(torch.eye(2).double(), torch.eye(3).double()).optimum(moment), torch.kron(L, R), 1e-8)


# --- any norm of the library ------------------------------------------------------------------------------------------

NORMS: dict[str, Metric] = {
    "Spectral": fallline.Spectral(SVD()),
    "Sign": fallline.Sign(),
    "Euclid": fallline.Euclid(),
    "Schatten": fallline.metrics.Schatten(3.0),
    "Nuclear": fallline.metrics.Nuclear(),
    "KyFan": fallline.metrics.KyFan(2),
    "Rows": fallline.metrics.Rows(),
    "Columns": fallline.metrics.Columns(),
}


def ball(part: Metric, g: Tensor, rho: float) -> Ball:
    return Ball(
        g,
        norm=lambda w: part.norm(w, MEM, T),
        dual=lambda w: part.dual(w, MEM, T),
        direction=lambda w: part.direction(w, MEM, T),
        rho=rho,
    )


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_of_the_library_is_a_region(name: str) -> None:
    part = NORMS[name]
    region, moment = ball(part, G, 0.3), 5 * outer(G)
    laws.the_optimum_is_in_the_region(region, moment)
    laws.the_optimum_attains_the_support(region, moment)
    laws.the_support_is_the_gauge_of_the_polar(region, moment)
    laws.a_gauge_is_a_gauge(region, moment)
    d = part.direction(G, MEM, T)
    step = (region.optimum(outer(G)) @ G.flatten()).view_as(G)
    assert_close(step, 0.3 * d / part.norm(d, MEM, T))
    for seed in range(10):  # members: PSD operators, stretched to the boundary
        Q = laws.turn(torch.rand(6, dtype=torch.float64), seed)
        assert pairing(Q / region.gauge(Q), outer(G)) <= region.support(outer(G)) * (1 + 1e-9)


def test_the_euclidean_ball_is_the_data_region_of_one_gradient() -> None:
    region, data = ball(fallline.Euclid(), G, 0.3), Data(outer(G), 0.09)
    Q = laws.turn(torch.rand(6, dtype=torch.float64), 0)
    assert_close(region.gauge(Q), data.gauge(Q))
    assert_close(region.support(outer(G)), data.support(outer(G)))


def test_a_ball_belongs_to_its_gradient() -> None:
    region = ball(NORMS["Sign"], G, 1.0)
    assert region.support(torch.eye(6).double()).isinf()
    with pytest.raises(ValueError, match="not a multiple"):
        region.optimum(torch.eye(6).double())
    assert isinstance(NORMS["Sign"], Norm)
