"""The truth: intervals at an edge, runs heard together, statistics that drift, alarms that stay silent."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from benchmarks.listen import listen, wilson
from benchmarks.oracle import oracle
from benchmarks.startle import SCENES, Scene
from benchmarks.stream import Stream, records
from torch import nn

from fallline.listen.alarm import blocks, changes
from fallline.listen.column import BETAS
from fallline.listen.neighbour import Memory, together
from fallline.listen.pay import margin
from fallline.listen.replicate import Replicates
from fallline.listen.signal import memory
from fallline.theory import noisy


def test_an_interval_ends_where_the_statistic_can_lie() -> None:
    reps = Replicates(torch.zeros(401, 1), 0.95)
    y = torch.cat([torch.tensor([-1.0]), torch.linspace(-4, 2, 400)])
    told = reps.told(y, least=0.0)
    assert told.value == told.low == 0 and told.high == pytest.approx(1.85, abs=0.02)
    assert reps.told(y * math.nan, least=0.0).low == -math.inf


def test_a_margin_may_be_more_than_that_of_the_best_of_the_means() -> None:
    """The momentum in use pays most of all on average, and half of the replicates say that another one does."""
    pay = torch.tensor([[1.0, 0.99], *[[1.0, 1.05], [1.0, 0.9]] * 200])
    told = margin(Replicates(pay, 0.95), pay, pay[:, 0])
    assert (told.value, told.low) == (0.0, 0.0) and told.high == pytest.approx(0.05)


def test_a_momentum_that_earns_nothing_is_beaten_without_measure() -> None:
    pay = torch.tensor([[-1.0, 2.0]] * 401)
    assert margin(Replicates(pay, 0.95), pay, pay[:, 0]).value == math.inf


def test_more_stretches_vary_together_where_gradients_remember_longer() -> None:
    found = [together(13, 16.0, Memory(16 * length, 50.0)) for length in (0.1, 1.2, 1.6, 9.0, 60.0)]
    assert [one.many for one in found] == [4, 5, 6, 6, 6]
    assert found[0][1:] == (4, 1.0) and 1 < found[2].short < found[3].short and found[2].freedom == 2


def test_a_few_memories_are_too_short_a_run_to_tell() -> None:
    assert together(13, 16.0, Memory(2000.0, 1500.0)).short == math.inf


def test_stretches_show_as_little_of_how_much_they_vary_as_is_said() -> None:
    """4000 runs of 208 steps, a quarter of their power an AR(1) of .98 (1 + 1, .99: squares of its lags)."""
    g, q, b, h = torch.Generator().manual_seed(0), 0.98, 13, 6
    z = [torch.randn(4000, generator=g)]
    for _ in range(207):
        z.append(q * z[-1] + math.sqrt(1 - q * q) * torch.randn(4000, generator=g))
    steps = 0.5 * torch.stack(z, 1) + math.sqrt(0.75) * torch.randn(4000, 208, generator=g)
    sums = steps.unflatten(1, (b, 16)).sum(2)
    e = nn.functional.pad(sums - sums.mean(1, keepdim=True), (h - 1, h - 1))
    v = e.unfold(1, h, 1).sum(2).square().sum(1) / h * b / (b - h)
    near = together(b, 16.0, memory(noisy(1.0, 1.0, 0.99, 33)))
    assert near.many == h and float(sums.sum(1).var() / v.mean()) == pytest.approx(near.short, rel=0.08)
    assert round(float(2 * v.mean() ** 2 / v.var())) == near.freedom == 2


def test_runs_that_are_heard_together_are_as_if_alone() -> None:
    stream = Stream("1 + 1, .9", 1, 1, 0.9)
    one, two = records(stream, [3], 40, 8)[0], records(stream, [1, 3], 40, 8)[1]
    assert torch.allclose(one.sums, two.sums, rtol=1e-5) and torch.allclose(one.runs, two.runs, rtol=1e-5)
    assert one.sampled == two.sampled == (512,) and len(one.looks) == len(two.looks)


def test_the_simulation_agrees_with_what_is_known_of_normal_streams() -> None:
    """<g, sign m> / |g|_1 is the correlation of g and m: here of g_n and g_{n-1}."""
    told = oracle(Stream("1 + 1, .9", 1, 1, 0.9), 160, 16)
    assert float(told.held[BETAS.index(0.0)]) == pytest.approx(0.45, abs=0.01)
    assert told.head / float(told.r[0]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("fall", [0.1, 0.5])
def test_of_statistics_that_drift_the_mean_of_the_run_is_told(fall: float) -> None:
    told = listen(Stream("falling", 1, 0.2, 0.9, fall=fall), seed=2, level=0.999).total
    assert told.power.holds(512 * 1.2) and told.noise_scale.holds(5) and told.autocorrelation[1].holds(0.15)


@pytest.mark.parametrize(
    "scene", [s for s in SCENES if s.name in ("AR .9", "AR .99 (slow random drift)")], ids=lambda s: s.name
)
def test_slow_streams_and_falling_norms_raise_no_alarm(scene: Scene) -> None:
    for one in (replace(scene, numbers=64), replace(scene, numbers=64, level=lambda x: 0.1**x)):
        record = one.record(one.recent(1, 5)[0])
        assert not changes(record)
        assert blocks(record, "") > 1


def test_a_share_is_told_with_its_interval() -> None:
    assert wilson([True] * 10) == "100 (72-100)" and wilson([]) == "–"
