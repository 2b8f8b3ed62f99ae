"""The anthology (arXiv 2409.20325): Adam, Shampoo and Prodigy without averages are steepest descent in a norm."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fallline import (
    SVD,
    Adam,
    Constant,
    Decoupled,
    Descent,
    DualNorm,
    EscapeVelocity,
    Frobenius,
    Greedy,
    Identity,
    LargestDual,
    OwnDual,
    Preconditioned,
    Primed,
    Probe,
    Rule,
    Sign,
    SlotError,
    Spectral,
    shares,
)
from fallline.combines import Coupled
from fallline.core.memory import Memory
from sampler import noisy_descent

SHAPES = ((4, 3), (3, 5), (2, 6))
EXACT = Spectral(SVD())


def network(seed: int = 0) -> list[nn.Parameter]:
    source = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, dtype=torch.float64, generator=source)) for shape in SHAPES]


def walked(opt, params, seed=3, steps=15):
    for grads in noisy_descent(seed, steps, SHAPES):
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        opt.step()
    return [p.detach() for p in params]


def same(a, b, **how):
    for x, y in zip(a, b, strict=True):
        assert_close(x, y, **how)


def test_adam_without_averages_is_sign_descent():
    """T-a.2, exactly where no gradient is zero."""
    params, others = network(), network()
    adam = Adam(params, lr=0.01, betas=(0.0, 0.0), eps=0.0)
    signs = Descent(others, Rule(Identity(), Sign(), Constant(), Decoupled(0.0)), lr=0.01)
    same(walked(adam, params), walked(signs, others), rtol=1e-12, atol=1e-14)


def root(a, power):
    values, vectors = torch.linalg.eigh(a)
    return (vectors * values.clamp_min(1e-300) ** power) @ vectors.mT


def test_shampoo_without_accumulation_is_the_polar_factor():
    """T-a.3: (G G^T)^(-1/4) G (G^T G)^(-1/4) = U V^T, for G of full rank."""
    g = torch.randn(4, 4, dtype=torch.float64)
    shampoo = root(g @ g.mT, -0.25) @ g @ root(g.mT @ g, -0.25)
    assert_close(shampoo, SVD()(g), rtol=1e-7, atol=1e-8)


def test_shampoo_is_a_ball_between_two_roots():
    """One formula for them all: the Frobenius ball between L = (G G^T)^(1/8) and R = (G^T G)^(1/8) steps as Shampoo."""
    g = torch.randn(4, 4, dtype=torch.float64)
    part = Preconditioned(Frobenius(), root(g @ g.mT, 1 / 8), root(g.mT @ g, 1 / 8))
    d = part.direction(g, Memory({}), torch.ones(()))
    assert_close(d / d.norm() * 2, SVD()(g), rtol=1e-7, atol=1e-8)  # U V^T has length sqrt(4)


def test_shampoo_without_accumulation_steps_by_the_sum_of_all_nuclear_norms():
    """Every layer moves by lr (sum_l nuclear norm of G_l), not by its own; the loop is the paper's equation."""
    params = network()
    opt = Descent(params, Rule(Identity(), EXACT, DualNorm(), Decoupled(0.0)), lr=0.003)
    w = [p.detach().clone() for p in params]
    for grads in noisy_descent(3, 15, SHAPES):
        eta = 0.003 * sum(torch.linalg.matrix_norm(g, "nuc") for g in grads)
        w = [x - eta * SVD()(g) for x, g in zip(w, grads, strict=True)]
    same(walked(opt, params), w, rtol=1e-10, atol=1e-10)


def test_each_layers_own_nuclear_norm_is_another_step():
    params = network()
    opt = Descent(params, Rule(Identity(), OwnDual(EXACT), Constant(), Decoupled(0.0)), lr=0.003)
    w = [p.detach().clone() for p in params]
    for grads in noisy_descent(3, 15, SHAPES):
        w = [x - 0.003 * torch.linalg.matrix_norm(g, "nuc") * SVD()(g) for x, g in zip(w, grads, strict=True)]
    same(walked(opt, params), w, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("foreach", (False, True))
@pytest.mark.parametrize("step", (DualNorm(), LargestDual()))
def test_layers_of_several_groups_and_metrics_measure_together(step, foreach):
    """The sum, or the largest, is over everything that has such a step, groups and metrics notwithstanding."""

    class Two(Descent):
        def sentence(self, group):
            return Rule(Identity(), EXACT if group["spectral"] else Frobenius(), step, Decoupled(0.1))

    params = network()
    groups = [{"params": params[:2], "spectral": True}, {"params": params[2:], "spectral": False}]
    opt = Two([{**group, "foreach": foreach} for group in groups], lr=0.01)
    w = [p.detach().clone() for p in params]
    for grads in noisy_descent(3, 15, SHAPES):
        duals = [torch.linalg.matrix_norm(g, kind) for g, kind in zip(grads, ("nuc", "nuc", "fro"), strict=True)]
        sizes = [sum(duals) if isinstance(step, DualNorm) else d * (d == max(duals)) for d in duals]
        ways = [SVD()(g) for g in grads[:2]] + [grads[2] / grads[2].norm()]
        w = [(1 - 0.001 * s) * x - 0.01 * s * d for x, s, d in zip(w, sizes, ways, strict=True)]
    same(walked(opt, params), w, rtol=1e-10, atol=1e-10)


def test_dual_norms_are_those_of_the_average():
    params = network()
    opt = Descent(params, Rule(Primed(0.8), EXACT, DualNorm(), Decoupled(0.0)), lr=0.003)
    w, m = [p.detach().clone() for p in params], [0.0] * 3
    for n, grads in enumerate(noisy_descent(3, 15, SHAPES)):
        m = [g if n == 0 else 0.8 * a + 0.2 * g for a, g in zip(m, grads, strict=True)]
        eta = 0.003 * sum(torch.linalg.matrix_norm(a, "nuc") for a in m)
        w = [x - eta * SVD()(a) for x, a in zip(w, m, strict=True)]
    same(walked(opt, params), w, rtol=1e-10, atol=1e-10)


def along_a_line(delay: int, steps: int = 8) -> list[float]:
    """The step sizes on a linear loss, of which no coordinate's sign ever changes."""
    params = network()
    opt = Descent(params, Rule(Identity(), Sign(), EscapeVelocity(0.5), Decoupled(0.0)), lr=1.0, delay=delay)
    sizes = []
    for _ in range(steps):
        before = params[0].detach().clone()
        for i, p in enumerate(params):
            p.grad = torch.full_like(p, (-1.0) ** i * (i + 1))
        opt.step()
        sizes.append(float((before - params[0].detach())[0, 0]))
    return sizes


def test_prodigy_without_averages_doubles():
    """T-a.5; decided one step late it is Fibonacci's sequence instead."""
    assert along_a_line(0) == pytest.approx([0.5 * n for n in (1, 1, 2, 4, 8, 16, 32, 64)])
    assert along_a_line(1) == pytest.approx([0.5 * n for n in (1, 1, 1, 2, 3, 5, 8, 13)])


@pytest.mark.parametrize("metric", (Sign(), Frobenius(), EXACT), ids=str)
def test_escape_velocity_is_the_papers_loop_in_any_norm(metric):
    kind = {"Sign": lambda g: g.abs().sum(), "Frobenius": torch.linalg.norm}.get(
        type(metric).__name__, lambda g: torch.linalg.matrix_norm(g, "nuc")
    )
    turn = {"Sign": torch.sign, "Frobenius": lambda g: g / g.norm()}.get(type(metric).__name__, SVD())
    params = network()
    opt = Descent(params, Rule(Identity(), metric, EscapeVelocity(0.01), Decoupled(0.0)), lr=0.5)
    begin = [p.detach().clone() for p in params]
    w, eta = begin, 0.01
    for grads in noisy_descent(3, 15, SHAPES):
        won = sum((g * (b - x)).sum() for g, b, x in zip(grads, begin, w, strict=True))
        eta = max(eta, float(won / sum(map(kind, grads))))
        w = [x - 0.5 * eta * turn(g) for x, g in zip(w, grads, strict=True)]
    assert eta > 0.01
    same(walked(opt, params), w, rtol=1e-10, atol=1e-10)


def test_steps_that_measure_are_saved_and_loaded():
    for step in (DualNorm(), LargestDual(), EscapeVelocity(0.01)):
        params, others = network(), network()
        opt, other = (Descent(p, Rule(Primed(0.9), EXACT, step, Decoupled(0.0)), lr=0.01) for p in (params, others))
        walked(opt, params, steps=5)
        for p, q in zip(params, others, strict=True):
            q.data.copy_(p.data)
        other.load_state_dict(opt.state_dict())
        same(walked(opt, params, seed=7), walked(other, others, seed=7), rtol=0, atol=0)


def test_a_step_that_measures_wants_a_filter_that_does_not():
    chooses = Probe((0.5, 0.9), Greedy(), judge=Frobenius())
    with pytest.raises(SlotError, match=r"OwnDual\(metric\)"):
        Rule(chooses, EXACT, DualNorm(), Decoupled(0.0))
    assert Rule(Identity(), EXACT, DualNorm(), Coupled(0.1)).stacked
    with pytest.raises(ValueError, match="Invalid start"):
        EscapeVelocity(0.0)


# --- modular norms ----------------------------------------------------------------------------------------------------


def test_shares_follow_masses_and_sensitivities():
    """Modula's rules, by hand: mass adds, sensitivity multiplies, the last layers amplify what the first ones did."""
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2)))
    told = shares(net, {"1.1": 2.0}, {"1.0": 4.0, "1.1": 0.5})
    whole = 1 + (1 + 2)
    assert told["0.weight"] == pytest.approx(1 / whole / (4 * 0.5))
    assert told["1.0.weight"] == pytest.approx(3 / whole * (1 / 3) / 0.5)
    assert told["1.1.weight"] == told["1.1.bias"] == pytest.approx(3 / whole * (2 / 3))


def test_masses_count_by_their_ratios_alone():
    """T-a.7: twice all masses is no change; a module's mass also sets that of all below it."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)))
    assert shares(net, {"0": 1.0, "2": 3.0}) == pytest.approx(shares(net, {"0": 2.0, "2": 6.0}))
    assert shares(net, {"2": 6.0})["2.0.weight"] == pytest.approx(3 / 7)
    assert sum(shares(net)[name] for name in ("0.weight", "2.0.weight", "2.1.weight")) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="No module is called"):
        shares(net, {"3": 1.0})


def test_modules_side_by_side_share_as_well():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.gain = nn.Linear(2, 2), nn.Linear(2, 2), nn.Parameter(torch.ones(2))

    told = shares(nn.Sequential(Block(), nn.Linear(2, 1)))
    assert told["0.left.weight"] == told["0.right.weight"] == told["0.gain"] == pytest.approx(1 / 4)
