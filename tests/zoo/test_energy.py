"""Energies, the loss's graph and hypergradients beside loops from their equations, and what must be true of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.testing import assert_close

import fallline as fl
from fallline import Descent, Rule
from kit import owned
from zoo.test_polyak import METRICS, D, Listening, begin, close, oracle, remembered, run

STEPS = 18


def zeros() -> Tensor:
    return torch.zeros(D).double()


# --- energies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mu", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_aegd_and_aegdm(mu, decay):
    w, r, m = begin(), None, zeros()
    for n in range(STEPS):
        f, g = oracle(w, n)
        root = (f + 1.5).sqrt()
        v = (g + decay * w) / (2 * root)
        r = (root if r is None else r) / (1 + 2 * 0.3 * v * v)
        m = mu * m + v
        w = w - 2 * 0.3 * r * m
    build = (lambda p: fl.AEGDM(p, 0.3, 1.5, mu, decay)) if mu else (lambda p: fl.AEGD(p, 0.3, 1.5, decay))
    close(run(build), w)


def test_aegdw():
    w, r = begin(), None
    for n in range(STEPS):
        f, g = oracle(w, n)
        root = (f + 1.0).sqrt()
        v = g / (2 * root)
        r = (root if r is None else r) / (1 + 2 * 0.7 * v * v)
        w = (1 - 0.7 * 0.01) * w - 2 * 0.7 * r * v
    close(run(lambda p: fl.AEGDW(p, 0.7, weight_decay=0.01)), w)


def test_aepg():
    w, r, s = begin(), None, zeros()
    for n in range(STEPS):
        f, g = oracle(w, n)
        root = (f + 1.0).sqrt()
        v, s = g / (2 * root), 0.999 * s + 0.001 * g * g
        av = v / ((s / (1 - 0.999 ** (n + 1))).sqrt() + 1e-8)
        r = (root if r is None else r) / (1 + 2 * 0.2 * float(v @ av))
        w = (1 - 0.2 * 0.01) * w - 2 * 0.2 * r * av
    close(run(lambda p: fl.AEPG(p, 0.2, weight_decay=0.01)), w)


@pytest.mark.parametrize("lr", [0.1, 10.0, 1e4])
@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_energy_falls_by_what_the_way_costs(lr, metric):
    """r_+^2 - r^2 = -(r_+ - r)^2 - N(move)^2 / lr for every lr (a ball's move pays lr <v, d(v)> instead)."""
    params = [Parameter(torch.randn(4, 3, generator=torch.Generator().manual_seed(i)).double()) for i in range(2)]
    opt = Descent(params, Rule(fl.Identity(), metric, fl.Energy(0.5), fl.Decoupled()), lr=lr)
    r = None
    for _ in range(6):
        loss = torch.stack([(p.square().sum() + 1).log() for p in params]).sum()
        for p in params:
            p.grad = None
        loss.backward()
        before = [p.detach().clone() for p in params]
        opt.step(loss=loss)
        state = opt.state[params[0]]
        now = float(state["step.r"] * state["step.start"])
        r = float((loss.detach() + 0.5).sqrt()) if r is None else r
        moves = [p.detach() - x for p, x in zip(params, before, strict=True)]
        t = state["step"].double()
        if metric.linear:
            paid = sum(float(metric.norm(d, remembered(opt, p), t)) ** 2 for d, p in zip(moves, params, strict=True))
            assert now**2 - r**2 == pytest.approx(-((now - r) ** 2) - paid / lr, rel=1e-12, abs=1e-12)
        assert 0.0 < now < r
        r = now


@pytest.mark.parametrize("lr", [0.01, 1.0, 1e6])
def test_every_coordinates_energy_falls_and_stays_positive_for_every_lr(lr):
    w = Parameter(begin())
    opt = fl.AEGD([w], lr)
    last = torch.full((D,), torch.inf).double()
    for n in range(40):
        loss, w.grad = oracle(w, n)
        before, root = w.detach().clone(), (loss + 1).sqrt()
        opt.step(loss=loss)
        r = opt.state[w]["step.r"].double() * opt.state[w]["step.start"]
        start = last if n else root.expand(D)
        move = w.detach() - before
        assert_close(r.square() - start.square(), -(r - start).square() - move.square() / lr, rtol=1e-12, atol=1e-12)
        assert bool((r < start).all()) and bool((r > 0).all())
        last = r


def test_small_steps_are_gradient_descent():
    w = Parameter(begin())
    loss, w.grad = oracle(w, 0)
    fl.AEGD([w], 1e-7).step(loss=loss)
    assert_close(w.detach(), begin() - 1e-7 * w.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["AEGD", "AEGDM", "AEGDW", "AEPG"])
def test_a_loss_below_c_moves_nothing_and_breaks_nothing(name):
    w = Parameter(torch.ones(3))
    opt = getattr(fl, name)([w], weight_decay=0.0)
    for loss in (-1.0, -5.0):
        w.grad = torch.ones(3)
        opt.step(loss=loss)
        assert w.detach().tolist() == [1.0, 1.0, 1.0]
    w.grad = torch.ones(3)
    opt.step(loss=2.0)
    assert bool((w.detach() < 1).all()) and bool(w.isfinite().all())


# --- the loss's graph ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["plain", "log", "rms"])
def test_induced_metric(form):
    w, m, v, s = begin(), zeros(), zeros(), 0.0
    for n in range(STEPS):
        f, g = oracle(w, n)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        cost = (v / (1 - 0.99 ** (n + 1))).sqrt() + 1e-8 if form == "rms" else torch.ones(D)
        s = 0.8 * s + 0.2 * 0.3 * float(g @ (g / cost))
        steep, hat = s / (1 - 0.8 ** (n + 1)), m / (1 - 0.9 ** (n + 1))
        kappa = float(f) / (float(f) ** 2 + steep) if form == "log" else 1 / (1 + steep)
        w = (1 - 0.05 * 0.1) * w - 0.05 * kappa * hat / cost
    close(run(lambda p: fl.InducedMetric(p, 0.05, xi=0.3, weight_decay=0.1, form=form)), w)


def test_without_xi_it_is_the_base():
    close(
        run(lambda p: fl.InducedMetric(p, 0.1, xi=0.0)),
        run(lambda p: Listening(Descent(p, Rule(fl.EMA(0.9), fl.Euclid(), fl.Constant(), fl.Decoupled()), lr=0.1))),
    )
    adam = run(lambda p: Listening(fl.Adam(p, 0.1, betas=(0.9, 0.99))))
    close(run(lambda p: fl.InducedMetric(p, 0.1, xi=0.0, form="rms")), adam)


@pytest.mark.parametrize("form", ["plain", "rms", "log"])
def test_the_first_step_is_sherman_and_morrisons(form):
    """(D + xi g g^T)^-1 g by a solver; for "log" with g / f, the gradient of log f."""
    w = Parameter(begin())
    f, w.grad = oracle(w, 0)
    opt = fl.InducedMetric([w], 1.0, 0.0, 0.3, form=form)
    opt.step(loss=f)
    g = w.grad / f if form == "log" else w.grad
    cost = w.grad.abs() + 1e-8 if form == "rms" else torch.ones(D).double()
    found = torch.linalg.solve(torch.diag(cost) + 0.3 * torch.outer(g, g), g)
    close(begin() - w.detach(), found, 1e-12)


def test_steep_gradients_are_clipped():
    """The step is lr / (xi ||g||) long where that is small."""
    w = Parameter(torch.zeros(1).double())
    w.grad = torch.full((1,), 1e6).double()
    fl.InducedMetric([w], 1.0, 0.0, 0.1).step()
    assert -float(w.detach()) == pytest.approx(1e-5, rel=1e-9)


def test_a_log_of_nothing_moves_nothing():
    w = Parameter(torch.ones(2))
    opt = fl.InducedMetric([w], form="log")
    for loss, g in ((0.0, 0.0), (0.0, 1.0), (-1.0, 1.0)):
        w.grad = torch.full((2,), g)
        opt.step(loss=loss)
        assert w.detach().tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="plain"):
        fl.InducedMetric([w], form="square")


# --- hypergradients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mu", [0.0, 0.8])
def test_sgd_hd(mu):
    w, u, b, eta = begin(), zeros(), zeros(), 0.05
    for n in range(STEPS):
        _, g = oracle(w, n)
        eta = eta + 1e-3 * float(g @ u)
        b = mu * b + g
        w, u = w - eta * b, b
    close(run(lambda p: Listening(fl.SGDHD(p, 0.05, mu, hypergrad_lr=1e-3))), w)


@pytest.mark.parametrize("multiplicative", [False, True])
def test_adam_hd(multiplicative):
    w, u, m, v, eta = begin(), zeros(), zeros(), zeros(), 0.05
    for n in range(STEPS):
        _, g = oracle(w, n)
        cosine = float(g @ u) / float(g.norm() * u.norm()) if n else 0.0
        eta = eta * (1 + 0.02 * cosine) if multiplicative else eta + 1e-4 * float(g @ u)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        u = m / (1 - 0.9 ** (n + 1)) / ((v / (1 - 0.999 ** (n + 1))).sqrt() + 1e-8)
        w = w - eta * u
    kappa = 0.02 if multiplicative else 1e-4
    close(run(lambda p: Listening(fl.AdamHD(p, 0.05, hypergrad_lr=kappa, multiplicative=multiplicative))), w)


@pytest.mark.parametrize("multiplicative", [False, True])
def test_without_a_rate_of_its_own_lr_stays(multiplicative):
    how: dict[str, Any] = {"hypergrad_lr": 0.0, "multiplicative": multiplicative}
    close(run(lambda p: Listening(fl.SGDHD(p, 0.05, 0.9, **how))), run(lambda p: Listening(fl.SGD(p, 0.05, 0.9))))
    close(run(lambda p: Listening(fl.AdamHD(p, 0.05, **how))), run(lambda p: Listening(fl.Adam(p, 0.05))))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_learning_rates_gradient_is_that_of_finite_differences(metric):
    """What lr learns in a second step is -kappa times the derivative of the loss after a first step of that lr."""
    loss_of = lambda p: (p - 0.3).cosh().sum()  # noqa: E731
    begun = torch.randn(4, 3, generator=torch.Generator().manual_seed(5)).double()

    def after(lr: float, steps: int = 1) -> tuple[Any, Tensor]:
        w = Parameter(begun.clone())
        opt = Descent([w], Rule(fl.Identity(), metric, fl.Hypergradient(1e-3), fl.Decoupled()), lr=lr)
        for _ in range(steps):
            w.grad = None
            loss_of(w).backward()
            opt.step()
        return opt, loss_of(w).detach()

    slope = float(after(0.1 + 1e-6)[1] - after(0.1 - 1e-6)[1]) / 2e-6
    opt, _ = after(0.1, 2)
    assert opt.param_groups[0]["effective_lr"] - 0.1 == pytest.approx(-1e-3 * slope, rel=1e-6)


def test_a_schedule_multiplies_what_was_learned():
    ends = []
    for lr in (0.05, 0.025):
        w = Parameter(begin())
        opt = fl.SGDHD([w], 0.05, hypergrad_lr=1e-3)
        for n in range(4):
            w.grad = oracle(w, n)[1]
            opt.step()
        opt.param_groups[0]["lr"] = lr
        w.grad, before = oracle(w, 4)[1], w.detach().clone()
        opt.state[w]["step.last"].zero_()
        opt.step()
        ends.append(w.detach() - before)
    close(ends[0], 2 * ends[1], 1e-12)


def test_a_rate_below_zero_is_refused():
    with pytest.raises(ValueError, match="hypergrad_lr"):
        fl.SGDHD([Parameter(torch.ones(1))], hypergrad_lr=-1.0)
    assert owned(fl.SGDHD([Parameter(torch.ones(1))]))
