"""Step by step against torch.optim, and against the greedy rule written from its formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fallline
from fallline import Greedy, Replay, UnitGain
from reference import GreedyReference
from sampler import noisy_descent

STEPS = 50


def mlp(dtype):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 4)).to(dtype), (16, 12)


def conv(dtype):
    torch.manual_seed(3)
    body = (nn.Conv2d(2, 6, 3), nn.ReLU(), nn.BatchNorm2d(6), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(64, 4))
    return nn.Sequential(*body).to(dtype), (16, 2, 8, 8)


def trained(make, model, dtype):
    """All parameters after training on fixed random data."""
    net, shape = model(dtype)
    opt = make(groups_of(net))
    generator = torch.Generator().manual_seed(5)
    for _ in range(STEPS):
        x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        opt.zero_grad()
        (net(x) - x.flatten(1)[:, :4].sin()).square().mean().backward()
        opt.step()
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def groups_of(net):
    """Two groups with a learning rate and a decay of their own."""
    first, *rest = net.parameters()
    return [{"params": [first], "lr": 3e-3, "weight_decay": 0.05}, {"params": rest}]


PAIRS = {
    "sgd": lambda lib: lambda p, **k: lib.SGD(p, lr=0.02, **k),
    "sgd-momentum": lambda lib: lambda p, **k: lib.SGD(p, lr=0.02, momentum=0.9, **k),
    "sgd-dampening": lambda lib: lambda p, **k: lib.SGD(p, lr=0.02, momentum=0.9, dampening=0.3, **k),
    "sgd-nesterov": lambda lib: lambda p, **k: lib.SGD(p, lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.1, **k),
    "adam": lambda lib: lambda p, **k: lib.Adam(p, lr=0.01, betas=(0.8, 0.99), **k),
    "adam-coupled": lambda lib: lambda p, **k: lib.Adam(p, lr=0.01, weight_decay=0.1, **k),
    "adam-decoupled": lambda lib: lambda p, **k: lib.Adam(p, lr=0.01, decoupled_weight_decay=True, **k),
    "adamw": lambda lib: lambda p, **k: lib.AdamW(p, lr=0.01, **k),
    "adamw-maximize": lambda lib: lambda p, **k: lib.AdamW(p, lr=1e-4, weight_decay=0.3, maximize=True, **k),
}
ROUTES = ({"foreach": True}, {"fused": True}, {"foreach": False})


@pytest.mark.parametrize("model", (mlp, conv))
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("name", PAIRS)
def test_a_number_as_momentum_is_torch_s_algorithm(name, dtype, model):
    ours = trained(PAIRS[name](fallline), model, dtype)
    bound = 1e-12 if dtype == torch.float64 else 1e-6
    for route in ROUTES:
        theirs = trained(lambda p, route=route: PAIRS[name](torch.optim)(p, **route), model, dtype)
        assert (ours - theirs).norm() <= bound * theirs.norm()


@pytest.mark.parametrize("bank", ("full", "probe"))
@pytest.mark.parametrize("nesterov", (False, True))
def test_the_candidate_at_the_reference_momentum_is_torch_s_sgd(bank, nesterov):
    """SGD with candidates keeps the gain of momentum .9, so choosing .9 all the time is torch's algorithm."""
    kwargs = {"lr": 0.02, "nesterov": nesterov}
    theirs = trained(lambda p: torch.optim.SGD(p, momentum=0.9, **kwargs), mlp, torch.float64)
    selector = Replay((1,))
    ours = trained(
        lambda p: fallline.SGD(p, momentum=(0.5, 0.9), bank=bank, selector=selector, **kwargs), mlp, torch.float64
    )
    assert (ours - theirs).norm() <= 1e-12 * theirs.norm()


def test_lion_is_the_published_update():
    """theta <- theta - lr (sign(b1 m + (1 - b1) g) + decay theta),  m <- b2 m + (1 - b2) g."""
    p = nn.Parameter(torch.ones(6, dtype=torch.float64))
    x, m = p.detach().clone(), torch.zeros(6, dtype=torch.float64)
    opt = fallline.Lion([p], lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    for grads in noisy_descent(1, 40, ((6,),)):
        p.grad = grads[0].clone()
        opt.step()
        x = x - 0.01 * ((0.9 * m + 0.1 * grads[0]).sign() + 0.1 * x)
        m = 0.99 * m + 0.01 * grads[0]
    assert (p - x).abs().max() < 1e-12


BANK = (0.5, 0.9, 0.99)


@pytest.mark.parametrize("scope", ("global", "parameter"))
@pytest.mark.parametrize("beta2", (0.999, None))
def test_the_full_bank_is_the_rule_of_the_paper_step_by_step(scope, beta2):
    """200 steps: equal choices (but for the first, where all candidates hold the same) and equal parameters."""
    stream = noisy_descent(7, 200)
    params = [nn.Parameter(torch.ones_like(g)) for g in stream[0]]
    oracle = GreedyReference([p.detach().clone() for p in params], BANK, 0.01, 0.1, beta2, scope == "parameter")
    opt = greedy(params, beta2, scope)
    changes = set()
    for n, grads in enumerate(stream):
        for p, g in zip(params, grads, strict=True):
            p.grad = g.clone()
        opt.step()
        choices = oracle.step(grads)
        ours = [int(opt.state[p]["filter.weights"].argmax()) for p in params]
        assert n == 0 or ours == choices
        changes.update(choices)
        assert all((p - q).abs().max() < 1e-12 for p, q in zip(params, oracle.p, strict=True))
    assert len(changes) == 3, "the stream must make every candidate win somewhere"


def greedy(params, beta2, scope):
    """AdamW, or SGD with the same decoupled decay, over a full bank."""
    selector = Greedy(scope=scope)
    if beta2 is not None:
        return fallline.AdamW(params, 0.01, (BANK, beta2), weight_decay=0.1, bank="full", selector=selector)
    bank = fallline.Bank(BANK, selector, UnitGain())
    return fallline.Descent(
        params, fallline.Rule(bank, fallline.Euclid(), fallline.Constant(), fallline.Decoupled(0.1)), lr=0.01
    )
