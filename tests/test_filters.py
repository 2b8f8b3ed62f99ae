"""Every filter through the laws of filters; the bank and the probe through theirs."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from fallline import (
    EMA,
    Bank,
    Fixed,
    GainOf,
    Greedy,
    HeavyBall,
    HeavyBalls,
    Identity,
    Nesterov,
    NesterovEMA,
    Primed,
    Probe,
    QuasiEMA,
    QuasiHyperbolic,
    SubspaceMomentum,
    TwoAverages,
    Undamped,
    UnitGain,
    UnitPower,
)
from fallline.core.memory import Memory
from fallline.statistics import response
from laws.filter import AGEING, LAWS, run
from sampler import noisy_descent

FILTERS = (
    Identity(),
    EMA(0.0),
    EMA(0.9),
    Primed(0.0),
    Primed(0.8),
    HeavyBall(0.9),
    HeavyBall(0.8, 0.3),
    Nesterov(0.9),
    QuasiHyperbolic(0.99, 0.9),
    QuasiHyperbolic(0.5),
    QuasiEMA(0.9, 0.7),
    HeavyBalls((0.0, 0.9, 0.99)),
)
WARMING = (
    TwoAverages(0.9, 0.999),
    TwoAverages(0.9, 0.999, 3.0, warmup=8),
    TwoAverages(0.0, 0.5, 1.0, warmup=20),
    NesterovEMA(0.9),
    NesterovEMA(0.8, 2.0),
)
STREAM = torch.stack([g[1] for g in noisy_descent(0, 12)])


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", FILTERS, ids=str)
def test_law(part, law):
    law(part, STREAM)


@pytest.mark.parametrize("law", AGEING, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", (SubspaceMomentum(0.9, 9), SubspaceMomentum(0.9, 9, every=5)), ids=str)
def test_law_of_a_full_subspace(part, law):
    law(part, torch.randn(12, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("law", AGEING, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", WARMING, ids=str)
def test_law_of_what_warms_up(part, law):
    law(part, STREAM)


@pytest.mark.parametrize("t", (1, 2, 9, 500, math.inf))
def test_gram_is_the_product_of_the_taps(t):
    poles = ((0.0, 1.0), (0.5, 1.0), (0.9, 0.9), (0.99, 0.4))
    q = torch.stack([response.taps(*pole, 20000 if t == math.inf else t) for pole in poles])
    beta, nu = torch.tensor(poles, dtype=torch.float64).unbind(-1)
    age = torch.tensor(t, dtype=torch.float64)
    assert_close(response.gram(beta, nu, age), q @ q.T)
    assert_close(response.gain(beta, nu, age), q.sum(-1))


def test_undamped_sum_is_the_paper_s_power():
    """Of heavy-ball taps beta^j the power is (1 - beta^2n) / (1 - beta^2)."""
    beta, n = 0.9, torch.tensor(7.0, dtype=torch.float64)
    energy = response.gram(torch.tensor([beta], dtype=n.dtype), torch.ones(1, dtype=n.dtype), n)[0, 0] / (1 - beta) ** 2
    assert_close(energy, (1 - beta ** (2 * n)) / (1 - beta**2))


IDENTITIES = {
    "plain": (QuasiHyperbolic(0.9, 0.0), Identity(), 1.0),
    "heavy ball": (QuasiHyperbolic(0.9), HeavyBall(0.9), 0.1),
    "Nesterov": (QuasiHyperbolic(0.9, 0.9), Nesterov(0.9), 0.1),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_the_quasi_hyperbolic_family_covers(name):
    ours, theirs, factor = IDENTITIES[name]
    assert_close(torch.stack(run(ours, STREAM)[0]), factor * torch.stack(run(theirs, STREAM)[0]))


def bank_with_weights(kind, scale, chosen):
    """Outputs of a two-candidate bank whose choice is held."""
    part = kind((0.5, 0.9), Greedy(), scale)
    mem = Memory(part.memory(STREAM[0]) | part.decisions(STREAM.device))
    mem.weights.copy_(torch.nn.functional.one_hot(torch.tensor(chosen), 2))
    outputs = []
    for n, g in enumerate(STREAM, start=1):
        t = torch.tensor(float(n), dtype=torch.float64)
        part.remember(g, mem, t)
        outputs.append(part.output(g, mem, t))
    return torch.stack(outputs), part.gain(mem, t)


SCALED = {
    "unit gain": (UnitGain(), EMA(0.9), lambda q: 1 / q.sum()),
    "heavy ball's gain": (GainOf(HeavyBall(0.9)), HeavyBall(0.9), lambda q: torch.ones(())),
    "undamped": (Undamped(), HeavyBall(0.9), lambda q: torch.ones(())),
    "unit power": (UnitPower(), HeavyBall(0.9), lambda q: q.square().sum().rsqrt()),
}


@pytest.mark.parametrize("kind", (Bank, Probe))
@pytest.mark.parametrize("name", SCALED)
def test_a_chosen_candidate_is_that_filter_at_the_stated_scale(kind, name):
    scale, filter, factor = SCALED[name]
    outputs, gain = bank_with_weights(kind, scale, 1)
    factors = torch.stack([factor(filter.taps(n)) for n in range(1, 13)])
    wanted = torch.stack(run(filter, STREAM)[0]) * (factors[:, None, None] if name != "unit gain" else 1)
    assert_close(outputs, wanted)
    assert_close(gain, filter.taps(12).sum() * factor(filter.taps(12)))


def test_the_probe_s_gain_follows_a_pole_that_moves():
    """sum and energy are those of the taps that a changing decay left behind."""
    part = Probe((0.5, 0.9), Greedy(), UnitPower())
    impulse = torch.eye(12, dtype=torch.float64)
    mem = Memory(part.memory(impulse[0]) | part.decisions(impulse.device))
    for n, g in enumerate(impulse, start=1):
        mem.weights.copy_(torch.nn.functional.one_hot(torch.tensor(n % 2), 2))
        u = part.output(g, mem, torch.tensor(float(n), dtype=torch.float64))
    assert_close(mem.sum, mem.m.sum())
    assert_close(mem.energy, mem.m.square().sum())
    assert_close(u.square().sum(), torch.ones((), dtype=torch.float64))


def test_candidates_are_kept_in_order_and_printed_so():
    assert Bank((0.9, 0.5), Greedy()) == Bank((0.5, 0.9), Greedy())
    assert (
        str(Probe((0.9, QuasiHyperbolic(0.5, 0.5)), Fixed()))
        == "Probe((QuasiHyperbolic(0.5, nu=0.5), 0.9), Fixed('global'))"
    )
