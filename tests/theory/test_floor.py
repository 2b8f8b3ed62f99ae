"""The long run: expectations against simulation, and who wins by how much."""

from __future__ import annotations

import pytest
import torch

from fallline.theory import Bowl, course, floor, greedy

H = torch.tensor([1.0, 0.3, 0.01], dtype=torch.float64)
BETAS = torch.tensor([0.0, 0.5, 0.9, 0.99], dtype=torch.float64)


def bowl(sigma):
    return Bowl(H, torch.ones(3, dtype=torch.float64), sigma)


def test_the_course_is_that_of_a_simulation():
    steps, runs = 150, 8_000
    eta = torch.linspace(0.6, 0.1, steps, dtype=torch.float64)
    beta = torch.where(torch.arange(steps) < 60, 0.9, 0.4).double()
    x, m, losses = torch.ones(runs, 3).double(), torch.zeros(runs, 3).double(), []
    for e, b in zip(eta, beta, strict=True):
        m = b * m + (1 - b) * (H * x + 0.5 * torch.randn(runs, 3, dtype=torch.float64))
        x = x - e * m
        losses.append((H * x.square()).sum(-1).mean() / 2)
    assert torch.allclose(torch.stack(losses), course(bowl(0.5), eta, beta), rtol=0.05)


@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_the_course_ends_at_the_floor(sigma):
    eta = torch.tensor(0.7, dtype=torch.float64)
    last = course(bowl(sigma), eta.expand(2500, 1), BETAS)[-1]
    assert torch.allclose(last, floor(bowl(sigma), eta, BETAS), rtol=1e-8)


def test_at_one_effective_lr_a_longer_memory_ends_lower_by_no_more_than_half():
    for eta in torch.linspace(0.05, 1.95, 39, dtype=torch.float64):
        levels = floor(bowl(1.0), eta, BETAS)
        assert (levels.diff() < 0).all()
        assert levels[-1] / levels[0] >= 1 - eta / 2 * H.max()
    small = floor(bowl(1.0), torch.tensor(0.01).double(), BETAS)
    assert float(small[-1] / small[0]) == pytest.approx(1, abs=0.005)


def test_in_steps_of_unit_energy_a_longer_memory_ends_higher():
    scale = ((1 + BETAS) / (1 - BETAS)).sqrt()
    levels = floor(bowl(1.0), 0.05 * scale, BETAS)
    assert (levels.diff() > 0).all()
    assert torch.allclose(levels / levels[0], scale, rtol=0.03)
    early = course(Bowl(H[2:], torch.ones(1).double(), 0.01), (0.05 * scale).expand(400, 4), BETAS)[-1]
    assert early.argmin() == 3  # while there is far to go, the longest is ahead


def test_out_of_the_stable_region_there_is_no_floor():
    levels = floor(bowl(1.0), torch.tensor([1.9, 2.1]).double(), torch.tensor(0.0).double())
    assert levels.isfinite().tolist() == [True, False]


@pytest.mark.parametrize("sigma, factor", [(0.1, 4), (1.0, 1.4)])
def test_the_greedy_learning_rate_is_short_sighted(sigma, factor):
    two, steps = Bowl(H[[0, 2]], torch.ones(2).double(), sigma), 2000
    rates, losses = greedy(two, steps)
    zero, grid = torch.zeros(()).double(), torch.logspace(-3, 0.25, 60).double()
    constant = course(two, grid.expand(steps, 60), zero)
    assert losses[-1] > factor * constant[-1].min()
    assert rates[0] > 0.49 and rates[-1] < 0.06
    assert torch.allclose(losses, course(two, rates, zero))
    assert losses[0] <= constant[0].min() * (1 + 1e-12)  # nobody takes a better first step
