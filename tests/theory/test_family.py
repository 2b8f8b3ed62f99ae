"""Families: closed forms against fine grids, the library's own formulas, and its selectors."""

from __future__ import annotations

import pytest
import torch

import fallline
from fallline.core.memory import Memory
from fallline.selectors import Greedy, Span
from fallline.statistics import response
from fallline.theory import (
    Bank,
    Filter,
    adam,
    best_mix,
    best_momentum,
    convolve,
    coordinatewise,
    fir,
    momentum,
    momentum_pay,
    momentum_rate,
    nesterov,
    nesterov_pay,
    noisy,
    pay,
    quasi,
    quasi_pay,
    recorded,
)

from .test_autocorrelation import drawn

N = 4000
GRID = torch.linspace(0, 0.995, 4000, dtype=torch.float64)
STREAMS = [
    (1, 0, 0.9),
    (0, 1, 0.9),
    (1, 1, 0.9),
    (1, 0.2, 0.9),
    (1, 0.05, 0.99),
    (1, 1, 0.99),
    (0, 1, -0.4),
    (2, 1, -0.3),
]
# sheets/vector.md 0.6: candidates (0, .5, .8, .9, .95, .99) on three of these streams
TABLE = {
    (1, 1, 0.9): [2, 2.4406, 2.7429, 2.7300, 2.4657, 1.4353],
    (1, 0.05, 0.99): [1.05, 0.9518, 0.7442, 0.6358, 0.5746, 0.4955],
    (0, 1, -0.4): [1, 0.7217, 0.4545, 0.3205, 0.2263, 0.1011],
}


def number(x: float) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64)


@pytest.mark.parametrize(("a", "b", "rho"), STREAMS)
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9, 0.99])
def test_closed_forms_are_sums(a, b, rho, beta) -> None:
    """momentum, Nesterov and quasi-hyperbolic pay against their taps, cut at 4000."""
    r, x = noisy(a, b, rho, N), number(beta)
    torch.testing.assert_close(momentum_pay(x, a, b, rho), pay(momentum(beta, 2.0, N), r))
    torch.testing.assert_close(nesterov_pay(x, a, b, rho), pay(nesterov(beta, 2.0, N), r))
    for nu in (0.0, 0.7, 1.0, 1.1):
        mine = quasi_pay(x, number(nu), a, b, rho)
        torch.testing.assert_close(mine, pay(quasi(beta, nu, 2.0, N), r))


@pytest.mark.parametrize("stream", TABLE)
def test_known_numbers(stream) -> None:
    betas = torch.tensor([0, 0.5, 0.8, 0.9, 0.95, 0.99], dtype=torch.float64)
    torch.testing.assert_close(momentum_pay(betas, *stream), torch.tensor(TABLE[stream]).double(), atol=6e-5, rtol=0)


@pytest.mark.parametrize(("a", "b", "rho"), STREAMS)
def test_the_cubic_finds_the_best_momentum(a, b, rho) -> None:
    """Against 4000 values of beta; a tie of the grid's spacing."""
    worth = momentum_pay(GRID, a, b, rho)
    found = best_momentum(a, b, rho)
    assert found[0] == pytest.approx(float(GRID[worth.argmax()]), abs=3e-4)
    assert momentum_pay(number(found[0]), a, b, rho) >= worth.max() - 1e-12


def test_some_streams_have_two_answers() -> None:
    """rho = 1 and b / a < 1/4: a maximum at the small root of beta (1 - beta) = b / a, a minimum at the large one."""
    high, low = best_momentum(1.0, 0.2, 1.0)
    assert high < low and high * (1 - high) == pytest.approx(0.2) and low * (1 - low) == pytest.approx(0.2)
    assert best_momentum(1.0, 0.3, 1.0) == []
    assert (momentum_pay(GRID, 1.0, 0.3, 1.0).diff() > 0).all()


@pytest.mark.parametrize(("a", "b", "rho"), STREAMS)
@pytest.mark.parametrize("beta", [0.3, 0.9])
def test_the_best_mix_is_the_span(a, b, rho, beta) -> None:
    """best_mix against 4000 values of nu, where the best is a positive multiple of a mix."""
    nu = torch.linspace(-1, 3, 4001, dtype=torch.float64)
    worth = quasi_pay(number(beta), nu, a, b, rho)
    best = best_mix(beta, a, b, rho)
    assert quasi_pay(number(beta), number(best), a, b, rho) >= worth.max() - 1e-12


def test_the_rate_spends_the_budget() -> None:
    """eta beta^k with eta* has energy B, over a grid of both: nothing feasible earns more."""
    B, r = 2.0, noisy(1, 1, 0.9, 800)
    for beta in (0.0, 0.5, 0.95):
        assert momentum(beta, momentum_rate(beta, B), 800).square().sum() == pytest.approx(B)
    value = max(float(momentum(float(x), momentum_rate(float(x), B), 800) @ r) for x in GRID[::10])
    best = momentum_pay(number(best_momentum(1, 1, 0.9)[0]), 1, 1, 0.9) * B**0.5
    assert value <= best and value == pytest.approx(float(best), rel=1e-5)


def test_every_step_up_in_freedom_pays() -> None:
    """momentum <= quasi-hyperbolic <= FIR = |r|; a bank's argmax <= its span <= FIR."""
    r = noisy(1, 1, 0.9, 800)
    bank = Bank(torch.stack([momentum(x, 1.0, 800) for x in (0.5, 0.9, 0.99)]))
    one, span, whole = bank.pays(r).max(), bank.support(r), fir(800).support(r)
    mixed = quasi_pay(number(0.9), number(best_mix(0.9, 1, 1, 0.9)), 1, 1, 0.9)
    assert one < span < whole and momentum_pay(number(0.9), 1, 1, 0.9) < mixed
    torch.testing.assert_close(whole, r.norm())
    torch.testing.assert_close(mixed, whole)  # white noise on AR(1) is matched by SGD and one EMA, exactly
    torch.testing.assert_close(fir(800).mixture(r), r)


def test_the_span_is_beaten_by_no_mixture() -> None:
    bank, r = Bank(drawn(3, 20)), drawn(20)
    random = drawn(20_000, 3)
    assert pay(random @ bank.q, r).max() <= bank.support(r)
    assert pay(random @ bank.q, r).max() == pytest.approx(float(bank.support(r)), rel=1e-2)
    torch.testing.assert_close(pay(bank.mixture(r) @ bank.q, r), bank.support(r))


@pytest.mark.parametrize("nu", [1.0, 0.9, 0.4])
def test_the_librarys_response_is_the_family(nu: float) -> None:
    """Taps, gain and Gram matrix of fallline.statistics.response at age 30."""
    betas = (0.0, 0.5, 0.99)
    bank = Bank(torch.stack([quasi(x, nu, 1.0, 30) for x in betas]))
    torch.testing.assert_close(torch.stack([response.taps(x, nu, 30) for x in betas]), bank.q)
    x, v, t = torch.tensor(betas, dtype=torch.float64), number(nu).expand(3), torch.tensor(30.0).double()
    torch.testing.assert_close(response.gram(x, v, t), bank.gram())
    torch.testing.assert_close(response.gain(x, v, t), bank.q.sum(1))


def chosen(selector, bank: Bank, r: torch.Tensor) -> torch.Tensor:
    memory = Memory({name: x[None].clone() for name, x in selector.decisions(len(bank.q)).items()})
    return selector.choose((bank.q @ r)[None], bank.gram()[None], memory)[0]


@pytest.mark.parametrize(("a", "b", "rho"), STREAMS)
def test_the_librarys_selectors_choose_the_optimum(a, b, rho) -> None:
    bank = Bank(torch.stack([quasi(x, 1.0, 1.0, 400) for x in (0.0, 0.5, 0.9, 0.99)]))
    r = noisy(a, b, rho, 400)
    assert int(chosen(Greedy(), bank, r).argmax()) == bank.best(r)
    torch.testing.assert_close(pay(chosen(Span(), bank, r) @ bank.q, r), bank.support(r), rtol=1e-5, atol=0)


def test_adams_pay_is_the_readmes_score() -> None:
    """Alignment over the root of the cost: (g . update) sqrt((1 - beta^2) / W) / sqrt(d), W = mean 1 / c."""
    g, c = drawn(300, 3), torch.tensor([0.5, 1.0, 3.0]).double()
    for beta in (0.5, 0.9):
        Q = coordinatewise(adam(beta, c, 1.0, 300))
        W = (1 / c).mean()
        torch.testing.assert_close(Q.cost(c), 3 * W / (1 - beta**2))
        mine = Q.power(recorded(g, 300)) / Q.cost(c).sqrt()
        u = Filter(Q.Q)(g)
        torch.testing.assert_close(mine, (g * u).sum(1).mean() * ((1 - beta**2) / W).sqrt() / 3**0.5)


def test_a_real_optimizer_reports_the_theorys_pay() -> None:
    """SGD's own report on a stream of gradients that do not depend on the weights."""
    g, betas = drawn(30, 5).float(), (0.5, 0.9, 0.99)
    weight = torch.nn.Parameter(torch.zeros(5))
    optimizer = fallline.SGD([weight], lr=1e-6, momentum=betas, bank="full")
    for row in g:
        weight.grad = row
        optimizer.step()
    mine = [g[-1].double() @ convolve(q, g)[-1] / q.norm() for q in (momentum(x, 1.0, 30) for x in betas)]
    assert optimizer.report()["groups"][0]["pay"] == pytest.approx([float(x) for x in mine], rel=1e-4)
