"""Optimizers that take two gradients in a step, or know its loss: loops from their equations, and identities."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import (
    O2NC,
    OASIS,
    SGD,
    SMB,
    AdGD,
    AdGDStep,
    Best,
    Constant,
    Descent,
    DoubleO2NC,
    Euclid,
    HillAdam,
    Identity,
    Probed,
    Rule,
    Steady,
    UDoG,
    UniXGrad,
)
from fallline.core.dice import signs, uniform

F64 = torch.float64
CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def problem(n=12, seed=0):
    """A convex loss that is not quadratic, its gradient, and a start, in two tensors that walk as one vector."""
    source = torch.Generator().manual_seed(seed)
    a = torch.randn(2 * n, n, generator=source, dtype=F64)
    b = torch.randn(2 * n, generator=source, dtype=F64)

    def f(x: Tensor) -> Tensor:
        return (a @ x - b).square().add(1).sqrt().mean() + 0.05 * x.square().sum()

    def grad(x: Tensor) -> Tensor:
        y = x.detach().clone().requires_grad_()
        return torch.autograd.grad(f(y), y)[0]

    return f, grad, torch.randn(n, generator=source, dtype=F64)


def split(x):
    """A vector as a matrix and a vector."""
    return [Parameter(x[:8].view(2, 4).clone()), Parameter(x[8:].clone())]


def joined(params):
    """Back again."""
    return torch.cat([p.detach().reshape(-1) for p in params])


def run(opt, params, f, steps):
    """The weights after every step, and the losses."""
    seen, losses = [], []

    def closure():
        opt.zero_grad()
        loss = f(torch.cat([p.reshape(-1) for p in params]))
        loss.backward()
        return loss

    for _ in range(steps):
        losses.append(float(opt.step(closure).detach()))
        seen.append(joined(params))
    return seen, losses


# --- U-DoG and UniXGrad -------------------------------------------------------------------------------------------


def extragradient(grad, x0, steps, start=1e-6, diameter=None):
    """U-DoG (or UniXGrad with a diameter) as the sheet has it, with plain sums."""
    y, r, rs, later, spread, most = x0.clone(), start * (1 + x0.norm()), [], [], 0.0, 0.0
    omegas = []
    for _ in range(steps):
        r = (
            max(r, (y - x0).norm(), *[(x - x0).norm() for x in later])
            if diameter is None
            else torch.tensor(diameter, dtype=F64)
        )
        rs.append(r)
        alpha = sum(rs) / r
        omegas.append(alpha * r)

        def average(last):
            return sum(w * x for w, x in zip(omegas, [*later, last], strict=True)) / sum(omegas)

        def near(x):
            way = x - x0
            return x if diameter is None else x0 + way * min(1.0, diameter / math.sqrt(2) / float(way.norm()))

        m = grad(average(y))
        most = max(most, float(m.square().sum()))
        eta = r / math.sqrt(spread + most) if diameter is None else 2 * diameter / math.sqrt(1 + spread)
        later.append(x := near(y - alpha * eta * m))
        g = grad(sum(w * x for w, x in zip(omegas, later, strict=True)) / sum(omegas))
        spread += float(alpha**2 * (g - m).square().sum())
        eta = r / math.sqrt(spread + most) if diameter is None else eta
        y = near(y - alpha * eta * g)
        yield sum(w * x for w, x in zip(omegas, later, strict=True)) / sum(omegas), x


@pytest.mark.parametrize("diameter", [None, 1.5, 20.0], ids=["u-dog", "unixgrad in a corner", "unixgrad"])
def test_extragradient_is_the_loop(diameter):
    f, grad, x0 = problem()
    params = split(x0)
    how = {"start": 0.01} if diameter is None else {"diameter": diameter}
    opt = UDoG(params, reps_rel=0.01) if diameter is None else UniXGrad(params, diameter=diameter)
    for w, _ in extragradient(grad, x0, 15, **how):
        run(opt, params, f, 1)
        with opt.averaged():
            assert_close(joined(params), w, **CLOSE)


def test_extragradient_converges_faster_than_gradients_do():
    scales = torch.logspace(0, -4, 12, dtype=F64)

    def f(x):
        return 0.5 * (scales * x.square()).sum()

    params = split(torch.ones(12, dtype=F64))
    opt = UDoG(params)
    run(opt, params, f, 150)
    best = f((1 - scales) ** 300)  # of gradient descent with its best lr and as many gradients
    with opt.averaged():
        assert f(joined(params)) < best / 4
    assert opt.report()["groups"][0]["effective_lr"] > 1


def test_unixgrad_stays_in_its_ball_whatever_the_noise():
    source, params = torch.Generator().manual_seed(0), split(torch.ones(12, dtype=F64))
    opt = UniXGrad(params, diameter=2.0)
    for _ in range(100):
        push = 10 * torch.randn(12, generator=source, dtype=F64)  # the same in both, so that no step sees it as noise
        run(opt, params, lambda x, push=push: (push * x).sum(), 1)
        with opt.averaged():
            assert (joined(params) - 1).norm() <= math.sqrt(2) * (1 + 1e-12)


def test_loss_scale_does_not_matter_to_u_dog():
    f, _, x0 = problem()
    one, other = split(x0), split(x0)
    run(UDoG(one), one, f, 8)
    run(UDoG(other), other, lambda x: 1e6 * f(x), 8)
    assert_close(joined(one), joined(other), rtol=1e-7, atol=1e-9)


# --- AdGD and OASIS -----------------------------------------------------------------------------------------------


def adgd(grad, x, steps, start, cost=None):
    """AdGD from its equations; cost: the metric's diagonal at each step, from x, the gradient and the step's number."""
    eta, theta, old = start, math.inf, None
    for k in range(1, steps + 1):
        g = grad(x)
        d = torch.ones_like(x) if cost is None else cost(x, g, k)
        if old is not None:
            dx, dg = x - old[0], g - old[1]
            new = min(math.sqrt(1 + theta) * eta, float(((d * dx * dx).sum() / (dg * dg / d).sum()).sqrt() / 2))
            eta, theta = new, new / eta
        old, x = (x, g), x - eta * g / d
        yield x


def test_adgd_is_the_loop():
    f, grad, x0 = problem()
    params = split(x0)
    seen, _ = run(AdGD(params, start=1e-3), params, f, 20)
    assert_close(seen, list(adgd(grad, x0, 20, 1e-3)), **CLOSE)


def test_oasis_is_the_loop_with_its_own_signs():
    f, grad, x0 = problem()
    h = torch.zeros_like(x0)

    def cost(x, g, k):
        z = torch.cat([signs(part, 3, torch.tensor(float(k))).reshape(-1) for part in (g[:8].view(2, 4), g[8:])])
        h.mul_(0.9).add_(0.1 * z * (grad(x + 1e-3 * z) - g) / 1e-3)
        return (h / (1 - 0.9**k)).abs().clamp(min=0.01)

    params = split(x0)
    seen, _ = run(OASIS(params, beta=0.9, floor=0.01, seed=3), params, f, 18)
    assert_close(seen, list(adgd(grad, x0, 18, 1e-3, cost)), rtol=1e-7, atol=1e-9)


def test_oasis_with_a_plain_metric_is_adgd():
    f, _, x0 = problem()
    one, other = split(x0), split(x0)
    rule = Rule(Identity(), Euclid(), AdGDStep(1e-3, of=2), Probed())
    seen, _ = run(Descent(one, rule, lr=1.0), one, f, 12)
    assert_close(seen, run(AdGD(other, start=1e-3), other, f, 12)[0], **CLOSE)


def test_oasis_halves_every_diagonal_quadratic():
    scales = torch.logspace(3, -1, 12, dtype=F64)  # a condition of 1e4
    params = split(torch.randn(12, generator=torch.Generator().manual_seed(0), dtype=F64))
    opt = OASIS(params)
    seen, _ = run(opt, params, lambda x: 0.5 * (scales * x.square()).sum(), 8)
    for old, new in pairwise(seen[1:]):
        assert_close(new, old / 2, rtol=1e-6, atol=0.0)


def test_the_mean_of_probes_is_the_diagonal():
    source = torch.Generator().manual_seed(1)
    a = torch.randn(12, 12, generator=source, dtype=F64)
    h, z = a @ a.T / 12, signs(torch.randn(20000, 12, generator=source, dtype=F64), 0, torch.tensor(1.0))
    assert_close((z * (z @ h)).mean(0), h.diagonal(), rtol=0.0, atol=0.03)
    assert (h - h.diag().diag()).norm(dim=0).max() > 0.5  # it is not diagonal by itself


def test_noise_counts_as_curvature():
    source = torch.Generator().manual_seed(0)
    params = split(torch.ones(12, dtype=F64))
    opt = AdGD(params, start=1e-3)
    for _ in range(60):  # a slope with noise, as batches have: no curvature at all
        for p in params:
            p.grad = 1 + torch.randn(p.shape, generator=source, dtype=F64)
        opt.step()
    assert opt.param_groups[0]["effective_lr"] < 1e-9


# --- SMB ----------------------------------------------------------------------------------------------------------


def model_step(s, g, y, eta=0.99):
    """The official form: c_g g + c_s s + c_y y."""
    sigma = 0.5 * (s.norm() * (y.norm() + g.norm() / eta) - y @ s)
    theta = (y @ s + 2 * sigma) ** 2 - (s @ s) * (y @ y)
    cg = -(s @ s) / (2 * sigma)
    cs = cg / theta * (-(y @ s + 2 * sigma) * (y @ g) + (y @ y) * (s @ g))
    cy = cg / theta * (-(y @ s + 2 * sigma) * (s @ g) + (s @ s) * (y @ g))
    return cg * g + cs * s + cy * y


def test_smb_is_the_loop_for_each_tensor():
    f, grad, x = problem()
    params, lr, stood = split(x), 4.0, []
    seen, _ = run(SMB(params, lr=lr), params, f, 16)
    for now in seen:
        g, s = grad(x), -lr * grad(x)
        stood.append(bool(f(x + s) <= f(x) - 0.1 * lr * g.square().sum()))
        if stood[-1]:
            x = x + s
        else:
            y = grad(x + s) - g
            new = [model_step(s[a], g[a], y[a]) for a in (slice(0, 8), slice(8, 12))]
            assert all(
                n.norm() <= s[a].norm() * (1 + 1e-12) for n, a in zip(new, (slice(0, 8), slice(8, 12)), strict=True)
            )
            assert all(n @ g[a] < 0 for n, a in zip(new, (slice(0, 8), slice(8, 12)), strict=True))
            x = x + torch.cat(new)
        assert_close(now, x, **CLOSE)
    assert len({*stood}) == 2


def test_smb_on_a_line_goes_most_of_the_trial():
    a = torch.randn(12, generator=torch.Generator().manual_seed(0), dtype=F64)
    params = split(torch.zeros(12, dtype=F64))
    opt = SMB(params, lr=0.5, c=0.5)
    losses = iter([1.0, 1.0])

    def closure():
        opt.zero_grad()
        (a @ torch.cat([p.reshape(-1) for p in params])).backward()
        return next(losses)  # as if it had not fallen

    opt.step(closure)
    assert_close(joined(params), -0.5 * 0.99 * a, **CLOSE)


def test_smb_moves_nothing_where_there_is_no_gradient():
    params = split(torch.ones(12, dtype=F64))
    run(SMB(params), params, lambda x: 0.0 * x.sum(), 3)
    assert_close(joined(params), torch.ones(12, dtype=F64))


def test_smb_survives_a_learning_rate_that_is_far_too_large():
    f, _, x = problem()
    params = split(x)
    _, losses = run(SMB(params, lr=20.0), params, f, 40)
    assert losses[-1] < losses[0] / 2


# --- O2NC ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beta", "radius"), [(1.0, 0.05), (0.9, math.inf), (0.8, 0.02)])
def test_o2nc_is_the_loop(beta, radius):
    f, grad, x = problem()
    params, step, lr = split(x), torch.zeros_like(x), 0.01
    opt = O2NC(params, lr=lr, beta=beta, radius=radius, seed=5)
    w = x
    for n in range(1, 18):
        run(opt, params, f, 1)
        x, step = x + step, beta * step - lr * grad(w)
        step = step * min(1.0, radius / float(step.norm()))
        w = x + float(uniform(5, torch.tensor(float(n)))) * step
        assert_close(joined(params), w, **CLOSE)
        with opt.averaged():
            assert_close(joined(params), x, **CLOSE)


def test_discounted_o2nc_is_sgd_with_momentum_one_step_late():
    source = torch.Generator().manual_seed(0)
    stream = [torch.randn(12, generator=source, dtype=F64) for _ in range(12)]
    one, other = split(torch.ones(12, dtype=F64)), split(torch.ones(12, dtype=F64))
    online, sgd, late = O2NC(one, lr=0.1, beta=0.9), SGD(other, lr=0.1, momentum=0.9), []
    for g in stream:
        late.append(joined(other))
        for params, opt in ((one, online), (other, sgd)):
            for p, x in zip(params, split(g), strict=True):
                p.grad = x.data
            opt.step()
        with online.averaged():
            assert_close(joined(one), late[-1], **CLOSE)


def test_double_o2nc_is_the_loop():
    f, grad, x = problem()
    params, step, h, w, lr, radius = split(x), torch.zeros_like(x), torch.zeros_like(x), x, 0.02, 0.05
    opt = DoubleO2NC(params, lr=lr, radius=radius)
    for n in range(1, 16):
        run(opt, params, f, 1)
        g, x = grad(w), x + step
        hint = grad(x + step / 2)
        step = step - lr * (hint + g - h)
        step, h = step * min(1.0, radius / float(step.norm())), hint
        w = x + float(uniform(0, torch.tensor(2.0 * n))) * step
        assert_close(joined(params), w, **CLOSE)
        with opt.averaged():
            assert_close(joined(params), x, **CLOSE)


def test_points_on_the_way_are_uniform():
    found = torch.stack([uniform(0, torch.tensor(float(n))) for n in range(1, 2001)])
    assert abs(float(found.mean()) - 0.5) < 0.03 and abs(float(found.var()) * 12 - 1) < 0.08
    assert abs(float(torch.corrcoef(torch.stack([found[1:], found[:-1]]))[0, 1])) < 0.06


def test_signs_of_tensors_of_one_shape_do_not_go_together():
    source = torch.Generator().manual_seed(0)
    x, y = (torch.randn(40, 50, generator=source) for _ in range(2))
    a, b = (torch.stack([signs(one, 0, torch.tensor(float(n))) for n in range(1, 60)]) for one in (x, y))
    assert abs(float((a * b).mean())) < 0.01 and abs(float(a.mean())) < 0.01
    assert abs(float((a[1:] * a[:-1]).mean())) < 0.01


# --- Hill-ADAM ----------------------------------------------------------------------------------------------------


def valleys(x):
    """Two of them; the one at -1 is deeper."""
    return (x.square() - 1).square().sum() + 0.3 * x.sum()


def test_hill_adam_is_the_loop():
    x, lr, sign, age, last = torch.tensor([0.9], dtype=F64), 0.1, 1.0, 0, math.inf
    m = v = torch.zeros_like(x)
    w, turns, best = Parameter(x.clone()), [], (math.inf, None)
    opt = HillAdam([w], lr=lr, high=5.0)
    seen, _ = run(opt, [w], valleys, 150)
    for n, now in enumerate(seen):
        loss = float(valleys(x))
        best = min(best, (loss, float(x)), key=lambda pair: pair[0])
        new = 1.0 if loss > 5.0 else -sign if abs(loss - last) < 1e-4 else sign
        if new != sign:
            sign, m, v, age = new, torch.zeros_like(x), torch.zeros_like(x), 0
            turns.append(n)
        last, age, g = loss, age + 1, 4 * x * (x * x - 1) + 0.3
        m, v = 0.9 * m + 0.1 * sign * g, 0.999 * v + 0.001 * g * g
        x = x - lr * (m / (1 - 0.9**age)) / ((v / (1 - 0.999**age)).sqrt() + 1e-8)
        assert_close(now, x, rtol=1e-6, atol=1e-8)
    assert len(turns) > 1
    with opt.averaged():
        assert float(w.detach()) == pytest.approx(best[1], abs=1e-6)


def test_hill_adam_sees_the_other_valley_and_returns_the_best_weights():
    w = Parameter(torch.tensor([1.5], dtype=F64))
    opt = HillAdam([w], lr=0.1, high=5.0)
    seen, losses = run(opt, [w], valleys, 150)
    assert min(map(float, seen)) < -0.9 < 0.9 < max(map(float, seen))
    with opt.averaged():
        assert float(valleys(w.detach())) == pytest.approx(min(losses), abs=1e-12)
        assert w.detach() < -0.9


def test_hill_adam_descends_from_high_losses_and_climbs_from_low_ones():
    w = Parameter(torch.tensor([2.0], dtype=F64))
    opt = HillAdam([w], lr=0.1)
    for loss, goes in ((1000.0, -1), (1000.0, -1), (-2e4, 1), (-2e4, 1)):
        before = float(w.detach())
        w.grad = torch.ones_like(w)
        opt.step(loss=loss)
        assert (float(w.detach()) - before) * goes > 0


# --- what is asked of the whole optimizer ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [AdGD, UDoG, SMB, HillAdam])
def test_a_group_may_not_have_what_is_the_whole_optimizers(kind):
    with pytest.raises(ValueError, match="write: these belong to the whole optimizer"):
        kind([{"params": [Parameter(torch.ones(3))], "write": "kahan"}])


def test_first_steps_of_narrow_weights_are_not_lost():
    """Half of what bfloat16 can tell of 1 is a step; without Kahan's sum nothing would ever move."""
    w = Parameter(torch.ones(3, dtype=torch.bfloat16))
    opt = AdGD([w], start=5e-4)
    for _ in range(24):
        opt.zero_grad()
        w.square().sum().backward()
        opt.step()
    assert float(w.detach().abs().max()) < 0.1


def test_the_best_weights_are_not_kept_a_step_late():
    w = Parameter(torch.ones(3))
    opt = Descent([w], Rule(Identity(), Euclid(), Constant(), Best()), lr=0.1, delay=1)
    w.grad = torch.ones(3)
    with pytest.raises(ValueError, match="delay must be 0"):
        opt.step(loss=1.0)


def test_the_best_weights_are_as_they_were_before_they_decayed():
    w = Parameter(torch.ones(3))
    opt = Descent([w], Rule(Identity(), Euclid(), Constant(), Best(Steady(1.0))), lr=0.1)
    for loss in (1.0, 2.0):
        w.grad = torch.ones(3)
        opt.step(loss=loss)
    opt.eval()
    assert w.tolist() == [1.0, 1.0, 1.0]
