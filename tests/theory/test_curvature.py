"""Curvature: closed forms against spectral radii, exact recursions and simulation."""

from __future__ import annotations

import pytest
import torch

from fallline import SGD
from fallline.statistics.response import taps
from fallline.theory import Mode, bend, best, drop, edge, lagged, spread, steady

BETAS = torch.tensor([0.0, 0.3, 0.5, 0.9, 0.99], dtype=torch.float64)
NUS = torch.tensor([0.0, 0.4, 0.9, 1.0], dtype=torch.float64)
A = torch.linspace(0.01, 60, 200, dtype=torch.float64)


def grid():
    """Modes of every a, beta and nu."""
    return Mode(*torch.meshgrid(A, BETAS, NUS, indexing="ij"))


def by_force(mode, rough=0.0):
    """Largest eigenvalue of the map of E z z^T, z = (x, m)."""
    a, beta, nu = torch.broadcast_tensors(mode.a, mode.beta, torch.as_tensor(mode.nu, dtype=torch.float64))
    M = mode.matrix
    push = rough * torch.stack([-a * (1 - nu * beta), 1 - beta], -1)  # times x n
    E = push[..., None] * torch.tensor([1.0, 0.0], dtype=torch.float64)
    pair = torch.einsum("...ij,...kl->...ikjl", M, M) + torch.einsum("...ij,...kl->...ikjl", E, E)
    return torch.linalg.eigvals(pair.reshape(*M.shape[:-2], 4, 4)).abs().amax(-1)


def test_the_radius_is_the_spectral_radius():
    mode = grid()
    # a double eigenvalue is known to half the digits only
    assert torch.allclose(mode.radius, torch.linalg.eigvals(mode.matrix).abs().amax(-1), rtol=1e-6)


def test_the_edge_is_where_the_radius_is_one():
    mode = grid()
    assert torch.equal(mode.radius < 1, mode.a < edge(mode.beta, mode.nu))


@pytest.mark.parametrize("form", ["heavy ball", "nesterov"])
@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_the_edge_is_that_of_torchs_scale_and_of_our_optimizer(form, beta):
    nesterov = form == "nesterov"
    known = 2 * (1 + beta) / (1 + 2 * beta) if nesterov else 2 * (1 + beta)
    nu = torch.tensor(beta if nesterov else 1.0, dtype=torch.float64)
    assert known == pytest.approx(float(edge(torch.tensor(beta, dtype=torch.float64), nu)) * (1 - beta))
    for a, grows in ((0.97 * known, False), (1.03 * known, True)):
        x = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
        optimizer = torch.optim.SGD([x], a, momentum=beta, nesterov=nesterov)
        for _ in range(300):
            x.grad = x.detach().clone()
            optimizer.step()
        assert (x.abs() > 10) == grows and (x.abs() < 0.1) != grows


@pytest.mark.parametrize("rough", [0.0, 0.3, 1.0, 3.0])
def test_rough_noise_shrinks_the_stable_region_as_the_formula_says(rough):
    mode = Mode(*torch.meshgrid(torch.linspace(0.01, 40, 87).double(), BETAS, NUS, indexing="ij"))
    radius = by_force(mode, rough)
    clear = (radius - 1).abs() > 1e-9
    assert torch.equal(steady(mode, rough)[clear], radius[clear] < 1)
    if rough:
        b = mode.beta
        ema = 2 * (1 + b) / (1 - b + rough**2 * (1 + b))
        assert torch.equal(steady(mode, rough)[..., -1], (mode.a < ema)[..., -1])


@pytest.mark.parametrize("nu", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.99])
def test_the_spread_is_the_sum_of_squares_of_the_impulse_response(beta, nu):
    for a in (0.02, 0.5, 0.95 * float(edge(torch.tensor(beta), nu))):
        mode = Mode(torch.tensor(a).double(), torch.tensor(beta).double(), nu)
        state = torch.stack([-(1 - mode.nu * mode.beta), (1 - mode.beta) / mode.a])  # of m in units of a
        power, M = torch.zeros(()).double(), mode.matrix
        for _ in range(2500):
            power, state = power + state[0] ** 2, M @ state
        assert torch.allclose(power, spread(mode), rtol=1e-8)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_the_spread_is_that_of_a_simulation(beta):
    a, steps, walkers = 0.2, 2000, 500
    x, m, seen = torch.zeros(walkers).double(), torch.zeros(walkers).double(), []
    for n in range(steps):
        m = beta * m + (1 - beta) * (x + torch.randn(walkers, dtype=torch.float64))
        x = x - a * m
        seen.append(x.square().mean()) if n > 300 else None
    assert torch.stack(seen).mean() / a**2 == pytest.approx(
        float(spread(Mode(torch.tensor(a), torch.tensor(beta)))), rel=0.02
    )


def walk(beta, a, steps=100_000):
    """Gradients and true gradients of one mode at its floor, h = sigma = 1."""
    x = m = 0.0
    true, noise = [], torch.randn(steps, dtype=torch.float64).tolist()
    for n in noise:
        true.append(x)
        m = beta * m + (1 - beta) * (x + n)
        x -= a * m
    true = torch.tensor(true, dtype=torch.float64)
    return true + torch.tensor(noise, dtype=torch.float64), true


@pytest.mark.parametrize("beta", [0.0, 0.9])
def test_the_autocorrelation_at_the_floor_is_that_of_a_simulation(beta):
    g, true = walk(beta, a=0.5)
    r, R = lagged(0.5, beta, 6)
    for k in range(6):
        late, early = slice(k, None), slice(None, len(g) - k)
        assert float((true[late] * g[early]).mean()) == pytest.approx(float(r[k]), abs=0.015)
        assert float((g[late] * g[early]).mean()) == pytest.approx(float(R[k]), abs=0.015)


@pytest.mark.parametrize("nu", [0.5, 1.0])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("a", [0.1, 0.5, 1.5])
def test_at_the_floor_nothing_drops_though_the_pay_is_positive(a, beta, nu):
    r, R = lagged(a, beta, 600, nu)
    assert R[0] + 2 * R[1:].sum() == pytest.approx(0, abs=1e-9)
    q = taps(beta, nu, 600)
    # h = sigma = 1: c_k = R_k, and its own filter wins nothing in a step of its own eta = a
    assert float(drop(q, r, R, a)) == pytest.approx(0, abs=1e-12)
    assert (q * R).sum() > 0.1 * q[0]  # what the same-batch pay believes to win


def test_at_the_floor_of_plain_descent_every_score_wants_no_memory():
    r, R = lagged(0.5, 0.0, 600)
    assert torch.allclose(r[1:20], -0.5 * 0.5 ** torch.arange(19).double() / 1.5)
    pay = [float((taps(b, 1.0, 600) * R).sum() / taps(b, 1.0, 600).norm()) for b in (0.0, 0.5, 0.9, 0.99)]
    assert pay == sorted(pay, reverse=True)
    assert all((taps(b, 1.0, 600)[1:] * R[1:]).sum() < 0 for b in (0.5, 0.9, 0.99))  # held out: worse than nothing


def test_the_best_step_is_the_best_of_a_grid():
    q, c = taps(0.8, 1.0, 50), 0.9 ** torch.arange(50).double()
    eta, most = best(q, c, c)
    there = torch.stack([drop(q, c, c, e) for e in torch.linspace(0, 3, 3001).tolist()])
    assert float(most) == pytest.approx(float(there.max()), rel=1e-6)
    assert float(eta) == pytest.approx(int(there.argmax()) / 1000, abs=1e-3)


def test_in_white_gradients_the_curved_pay_ranks_as_the_greedy_one():
    white = torch.zeros(300).double()
    white[0] = 1.0
    r = 0.3 * 0.95 ** torch.arange(300).double()
    filters = [taps(b, 1.0, 300) for b in BETAS.tolist()]
    ratio = torch.stack([best(q, r, white)[1] / ((q * r).sum() / q.norm()) ** 2 for q in filters])
    assert torch.allclose(ratio, torch.full_like(ratio, 0.5))


def test_in_correlated_gradients_they_disagree():
    c = 0.95 ** torch.arange(300).double()
    filters = [taps(b, 1.0, 300) for b in BETAS.tolist()]
    greedy = torch.stack([(q * c).sum() / q.norm() for q in filters]).argmax()
    curved = torch.stack([best(q, c, c)[1] for q in filters]).argmax()
    assert (BETAS[greedy], BETAS[curved]) == (0.9, 0.0)  # a lag only makes the quadratic model worse
    assert float(bend(filters[0], c)) == 1.0


def test_our_sgd_walks_as_the_mode_says():
    mode, x = Mode(torch.tensor(0.3).double(), torch.tensor(0.8).double()), torch.nn.Parameter(torch.ones(1).double())
    optimizer, state = SGD([x], 0.3 * 0.2, momentum=0.8), torch.tensor([1.0, 0.0]).double()
    for _ in range(30):
        x.grad, state = x.detach().clone(), mode.matrix @ state
        optimizer.step()
        assert torch.allclose(x.detach(), state[:1])
