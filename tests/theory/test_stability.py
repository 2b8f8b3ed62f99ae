"""Stability: bounds that no simulation breaks; run with -s to read how loose they are."""

from __future__ import annotations

import math

import pytest
import torch

from fallline.core.evidence import evidence, luck
from fallline.core.memory import Memory
from fallline.selectors import Greedy
from fallline.theory import (
    Arma,
    Autocorrelation,
    Bank,
    CostBall,
    EnergyBall,
    LagBall,
    agreement,
    bernstein,
    cantelli,
    convolve,
    correlated,
    effective,
    gaps,
    gaussian,
    momentum,
    recorded,
    regret_limit,
    round_limit,
    samples,
    support_limit,
)

from .test_autocorrelation import drawn

c = torch.tensor([0.5, 1.0, 3.0]).double()
# region, its radius, and the dual norm that measures R - R'
REGIONS = {
    "energy": (EnergyBall(2.0), 2.0**0.5, lambda x: x.norm()),
    "cost": (CostBall(c, 2.0), 2.0**0.5, lambda x: (x.diagonal(dim1=-2, dim2=-1).square() / c).sum().sqrt()),
    "lag": (LagBall(2.0), 2.0, lambda x: torch.linalg.svdvals(x).sum()),
}


@pytest.mark.parametrize("name", REGIONS)
def test_support_is_lipschitz_and_regret_is_bounded(name: str) -> None:
    """300 pairs of statistics, near and far."""
    region, radius, dual = REGIONS[name]
    shares = []
    for k in range(300):
        g, scale = drawn(20 + k, 3)[k:], 10.0 ** (k % 5 - 3)
        R = recorded(g, 3)
        other = type(R)(R.R + scale * drawn(3 + k, 3, 3)[k:])
        far = float(dual(other.R - R.R))
        lost = float(region.support(R) - region.optimum(other).power(R))
        assert abs(region.support(R) - region.support(other)) <= support_limit(radius, far) * (1 + 1e-9)
        assert -1e-9 <= lost <= regret_limit(radius, far) * (1 + 1e-9)
        if name != "lag":
            assert lost <= round_limit(radius, far, float(dual(R.R))) * (1 + 1e-9) + 1e-12
        shares.append(lost / regret_limit(radius, far))
    print(f"\n{name}: regret / bound: median {sorted(shares)[150]:.3f}, largest {max(shares):.3f}")


def test_regret_is_tight() -> None:
    """Family |q| <= 1, one number: R = e, R' = -d with d -> 0 loses 2 e, which is the bound 2 |R - R'| at d = 0."""
    R, ball = (Autocorrelation(torch.full((1, 1, 1), x, dtype=torch.float64)) for x in (1.0, -1e-9)), EnergyBall()
    mine, other = R
    lost = float(ball.support(mine) - ball.optimum(other).power(mine))
    assert lost == pytest.approx(regret_limit(1.0, 1.0 + 1e-9))


def wrong(delta, noise, n: int, runs: int) -> float:
    """How often the mean of n samples of K pays puts another first: noise(runs, n, K), best first."""
    x = noise.mean(1)
    x[:, 0] += delta
    return float((x.argmax(1) != 0).double().mean())


@pytest.mark.parametrize("kind", ["normal", "coins", "rare"])
@pytest.mark.parametrize("n", [5, 20, 80])
def test_no_bound_on_a_wrong_choice_is_broken(kind: str, n: int) -> None:
    """Three candidates, 4000 runs; coins are +-1, rare ones are 0 but in one of ten steps."""
    runs, delta = 4000, 0.5
    x = drawn(runs, n, 3)
    if kind != "normal":
        x = x.sign() if kind == "coins" else x.sign() * (drawn(runs, n, 3, 2)[..., 1] > 1.2816) * 10**0.5
    s, lead = torch.full((2,), 2.0).double().sqrt(), torch.full((2,), delta).double()
    bounds = {"cantelli": cantelli(lead, s, n)}
    if kind == "normal":
        bounds["gaussian"] = gaussian(lead, s, n)
    else:
        M = 2.0 if kind == "coins" else 2 * 10**0.5
        bounds |= {"bernstein": bernstein(lead, s, M, n), "gaussian": gaussian(lead, torch.full((2,), M).double(), n)}
    seen = wrong(delta, x, n, runs)
    print(f"\n{kind}, n = {n}: wrong {seen:.4f}; bounds " + ", ".join(f"{k} {v:.4f}" for k, v in bounds.items()))
    assert all(seen <= bound + 3 * math.sqrt(bound / runs) for bound in bounds.values())


def test_samples_are_enough() -> None:
    lead, s = torch.tensor([0.5, 0.2]).double(), torch.tensor([1.0, 1.5]).double()
    n = samples(lead, s, 0.05)
    assert gaussian(lead, s, n) <= 0.05 < gaussian(lead, s, n // 3)


def test_gaps_are_of_differences() -> None:
    """Noise that all share does not count."""
    shared = drawn(500, 1)
    x = torch.cat([shared + 1, shared, shared + 0.1 * drawn(500, 2)[:, 1:]], 1)
    delta, spread = gaps(x)
    assert delta[0] == 0 == spread[0] and spread[1] < 1e-20 and spread[2] == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.99])
def test_an_average_is_worth_so_many_samples(decay: float) -> None:
    """By its taps, and by 4000 runs of it."""
    n = 60
    q = decay ** torch.arange(n).double()
    assert effective(n, decay) == pytest.approx(float(q.sum() ** 2 / q.square().sum()))
    means = drawn(4000, n) @ (q / q.sum())
    assert float(means.var()) == pytest.approx(1 / effective(n, decay), rel=0.1)


def test_correlated_samples_are_worth_less() -> None:
    """AR(1) of .8, 50 at a time: the variance of their mean is that of `correlated` independent ones."""
    x = Arma((0.8,), (), torch.eye(1)).stream(100_000, torch.Generator().manual_seed(0))[:, 0]
    m = correlated(50, 0.8 ** torch.arange(1, 50).double())
    assert float(x.reshape(-1, 50).mean(1).var()) == pytest.approx(float(x.var()) / m, rel=0.1)


@pytest.mark.parametrize(("decay", "hysteresis"), [(0.0, 1), (0.5, 1), (0.9, 1), (0.0, 3), (0.9, 2)])
@pytest.mark.parametrize("k", [2, 3])
def test_a_lead_of_votes_is_rarely_luck(decay: float, hysteresis: int, k: int) -> None:
    """Tied candidates before the library's own Greedy for 200 steps, 1000 runs: "decided" in fewer than 5 %."""
    n, runs = 200, 1000
    greedy = Greedy(smoothing=decay, hysteresis=hysteresis)
    memory = Memory({name: x.expand(runs, *x.shape).clone() for name, x in greedy.decisions(k).items()})
    x, power = drawn(n, runs, k), torch.eye(k).expand(runs, k, k)
    for pays in x:
        greedy.choose(pays, power, memory)
    first, second = memory.wins.topk(2).values.T.tolist()
    bounds = [agreement(a - b, n, k, decay, hysteresis) for a, b in zip(first, second, strict=True)]
    decided = sum(x <= 0.05 for x in bounds) / runs
    print(f"\n{k} ties, smoothing {decay}, hysteresis {hysteresis}: decided in {decided:.2%} of runs, 5 % allowed")
    assert decided <= 0.05


@pytest.mark.parametrize("hysteresis", [1, 5])
@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_report_uses_this_bound(decay: float, hysteresis: int) -> None:
    for led in (0, 10, 40, 100):
        mine = agreement(led, 100, 3, decay, hysteresis)
        assert luck(led, 100, 3, decay, hysteresis) == pytest.approx(mine)
    assert evidence(0, [90, 10, 0], 100, 0.2, decay, hysteresis) == ("decided" if mine <= 0.05 else "some")
    assert evidence(0, [90, 10, 0], 100, 0.001, decay, hysteresis) == "too close to call"
    assert evidence(1, [90, 10, 0], 100, 0.2, decay, hysteresis) == "some"
    assert [evidence(0, [n, 0], n, 0.2, decay, hysteresis) for n in (0, 3)] == ["none", "little"]


def test_banks_of_measured_statistics_are_decided_or_not() -> None:
    """A stream of signal 1 in noise 1: how many steps tell .5 and .9 apart, and .89 and .9."""
    g = drawn(4000, 1)
    signal = convolve(0.9 ** torch.arange(400).double(), drawn(4000, 2)[:, 1:])
    stream = signal + g
    needed = {}
    for pair in ((0.5, 0.9), (0.89, 0.9)):
        bank = Bank(torch.stack([momentum(x, 1.0, 400) for x in pair]))
        us = [convolve(q / q.norm(), stream) for q in bank.q]
        delta, spread = gaps(torch.stack([(stream * u).sum(1) for u in us], 1))
        loser = int(delta.argmax())
        needed[pair] = samples(delta[loser : loser + 1], spread[loser : loser + 1].sqrt())
    print(f"\nsteps needed: {needed}")
    assert needed[(0.89, 0.9)] > 10 * needed[(0.5, 0.9)]
