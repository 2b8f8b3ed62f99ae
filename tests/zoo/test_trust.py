"""The trust region in any norm (arXiv 2503.12645): its reductions, and its theorem on small problems."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fallline import (
    SVD,
    Frobenius,
    KyFan,
    Muon,
    Nuclear,
    Rows,
    Schatten,
    Sign,
    Spectral,
    TrustRegion,
    VectorRMS,
    Weighted,
    shares,
)
from fallline.core.memory import Memory
from fallline.metrics import FACTORS, shaped
from laws.metric import T
from sampler import noisy_descent

SHAPES = ((4, 3), (5,))
EXACT = Spectral(SVD())
NONE = Memory({})
REDUCTIONS = {
    "muon without Nesterov": (EXACT, SVD()),
    "normalised SGD": (Frobenius(), lambda m: m / m.norm()),
    "sign SGD with momentum": (Sign(), torch.sign),
}


def network(shapes=SHAPES):
    source = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, dtype=torch.float64, generator=source)) for shape in shapes]


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name):
    """T-b.1, each against its own loop: M_0 = g_0, then the average, then the best step."""
    metric, turn = REDUCTIONS[name]
    rest = Sign() if name.startswith("sign") else Frobenius()
    params = network()
    opt = TrustRegion(params, lr=0.02, momentum=0.8, weight_decay=0.1, metric=metric, rest=rest, roles="by shape")
    turns = (turn, torch.sign if rest == Sign() else lambda m: m / m.norm())
    w, m = [p.detach().clone() for p in params], [0.0, 0.0]
    for n, grads in enumerate(noisy_descent(3, 20, SHAPES)):
        m = [g if n == 0 else 0.8 * a + 0.2 * g for a, g in zip(m, grads, strict=True)]
        w = [(1 - 0.002) * x - 0.02 * f(a) for x, a, f in zip(w, m, turns, strict=True)]
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        opt.step()
    for p, x in zip(params, w, strict=True):
        assert_close(p.detach(), x, rtol=1e-10, atol=1e-10)


NORMS = (EXACT, Frobenius(), Sign(), VectorRMS(), Rows(1.5), Schatten(4.0), KyFan(2), Nuclear())


@pytest.mark.parametrize("metric", NORMS, ids=str)
def test_every_step_has_the_length_of_the_radius(metric):
    """T-b.2: N(x_{k+1} - x_k) = lr."""
    params = network()
    opt = TrustRegion(params, lr=0.02, momentum=0.8, metric=metric, roles="by shape")
    for grads in noisy_descent(3, 5, SHAPES):
        before = params[0].detach().clone()
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        opt.step()
        assert float(metric.norm(params[0].detach() - before, NONE, T)) == pytest.approx(0.02)


# For each norm the largest curvature of |x - target|^2 / 2 along a step of norm 1: max of norm_2(d)^2 over the ball.
CURVATURE = [(Frobenius(), 1.0), (EXACT, 3.0), (Sign(), 12.0), (Rows(2.0), 4.0)]


@pytest.mark.parametrize(("metric", "bound"), CURVATURE, ids=str)
def test_without_noise_the_loss_falls_until_the_gradient_is_small(metric, bound):
    """T-b.4: on a quadratic with curvature L in the norm it falls while N'(gradient) > L lr, without momentum."""
    (p,) = network(SHAPES[:1])
    target, lr = torch.ones_like(p), 0.05
    opt = TrustRegion([p], lr=lr, momentum=0.0, metric=metric, roles="by shape")
    falls = 0
    for _ in range(80):
        p.grad = p.detach() - target
        loss, slope = float(p.grad.square().sum() / 2), float(metric.dual(p.grad, NONE, T))
        opt.step()
        if slope > bound * lr:
            assert float((p.detach() - target).square().sum() / 2) < loss
            falls += 1
    assert 5 < falls


@pytest.mark.parametrize("name", FACTORS)
def test_muon_takes_every_shape_factor(name):
    """One step from zero: lr times the factor times the polar factor of the gradient."""
    p, g = nn.Parameter(torch.zeros(6, 3, dtype=torch.float64)), torch.randn(6, 3, dtype=torch.float64)
    opt = Muon([p], lr=0.1, momentum=0.0, nesterov=False, shape=name, polar=SVD(), roles="by shape")
    p.grad = g
    opt.step()
    assert_close(p.detach(), -0.1 * shaped(name, EXACT).direction(g, NONE, T))


def test_shares_are_radii():
    """lr times a module's share is the same as a metric weighted by one over it."""
    told = shares(nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(5, 1, bias=False)), {"0": 3.0})
    share, moved = told["0.weight"], []
    for lr, metric in ((0.1 * share, EXACT), (0.1, Weighted(EXACT, 1 / share))):
        p = nn.Parameter(torch.ones(4, 3, dtype=torch.float64))
        opt = TrustRegion([p], lr=lr, metric=metric, roles="by shape")
        p.grad = torch.arange(12.0, dtype=torch.float64).view(4, 3).sin()
        opt.step()
        moved.append(p.detach())
    assert share == 0.75
    assert_close(*moved)


def test_momentum_chooses_itself_too():
    params = network()
    opt = TrustRegion(params, lr=0.02, momentum=(0.5, 0.9), roles="by shape")
    for grads in noisy_descent(3, 5, SHAPES):
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        opt.step()
    assert opt.param_groups[0]["momentum"] in (0.5, 0.9)
