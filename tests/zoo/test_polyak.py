"""Polyak's family beside loops written from the papers' equations, in float64, and what must be true of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.testing import assert_close

import fallline as fl
from fallline import Descent, Rule
from fallline.core.kernel.compiler import compiler
from fallline.core.memory import Memory
from fallline.zoo.registry import REGISTRY
from kit import differences, owned, snapshot, stream, walk, weights

pytestmark = pytest.mark.usefixtures("interpreted")

N, D, BATCH = 24, 6, 4
Loop = Callable[[Tensor, Callable[[Tensor, int], tuple[Tensor, Tensor]], int], Tensor]


def data(noise: float = 0.3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Least squares: rows of features and what they should give; without noise every batch can be fitted."""
    source = torch.Generator().manual_seed(seed)
    a, x = torch.randn(N, D, generator=source).double(), torch.randn(D, generator=source).double()
    return a, a @ x + noise * torch.randn(N, generator=source).double()


def batch_loss(w: Tensor, n: int, a: Tensor, b: Tensor) -> Tensor:
    """Half the mean square on the n-th batch."""
    rows = [(n * BATCH + i) % N for i in range(BATCH)]
    return (a[rows] @ w - b[rows]).square().mean() / 2


def oracle(w: Tensor, n: int, **how: Any) -> tuple[Tensor, Tensor]:
    """Loss and gradient."""
    w = w.detach().clone().requires_grad_()
    loss = batch_loss(w, n, *data(**how))
    return loss.detach(), torch.autograd.grad(loss, w)[0]


def begin() -> Tensor:
    return torch.linspace(-1, 2, D, dtype=torch.float64)


def run(build: Callable[[Any], Any], steps: int = 18, scale: float = 1.0, **how: Any) -> Tensor:
    """Where an optimizer of two tensors comes to: the weights are cut in two so that all sums cross tensors."""
    parts = [Parameter(x.clone()) for x in begin().split([2, D - 2])]
    opt = build(parts)
    for n in range(steps):
        opt.zero_grad()
        loss = batch_loss(torch.cat(parts), n, *data(**how)) * scale
        loss.backward()
        opt.step(loss=loss)
    return torch.cat([p.detach() for p in parts])


def close(a: Tensor, b: Tensor, tolerance: float = 1e-10) -> None:
    assert_close(a, b, rtol=tolerance, atol=tolerance)


# --- loops written from the equations -----------------------------------------------------------------------------


def sps(steps: int = 18, cap: float = 1.0, c: float = 0.5, lb: float = 0.0, eps: float = 0.0) -> Tensor:
    w = begin()
    for n in range(steps):
        f, g = oracle(w, n)
        w = w - min(cap, max(float(f) - lb, 0.0) / (c * (float(g @ g) + eps))) * g
    return w


@pytest.mark.parametrize("lr", [0.05, 0.4, 100.0])
def test_sps_max(lr):
    close(run(lambda p: fl.SPS(p, lr, lb=0.01, n_batches_per_epoch=None)), sps(cap=lr, lb=0.01, eps=1e-8))


def test_sps_smoothed():
    w, cap = begin(), 0.05
    for n in range(18):
        f, g = oracle(w, n)
        cap = min(2 ** (1 / 6) * cap, float(f) / (0.5 * (float(g @ g) + 1e-8)))
        w = w - cap * g
    close(run(lambda p: fl.SPS(p, 0.05, n_batches_per_epoch=6)), w)


def test_alig():
    close(run(lambda p: fl.AliG(p, 0.3)), sps(cap=0.3, c=1.0, eps=1e-5))


def test_alr_smag():
    w, d = begin(), torch.zeros(D).double()
    for n in range(18):
        f, g = oracle(w, n)
        d = 0.9 * d + g
        eta = min(0.2, float(f) / float(d @ d) / 0.8)
        w = (1 - eta * 0.01) * w - eta * d
    close(run(lambda p: fl.ALRSMAG(p, 0.2, c=0.8, weight_decay=0.01)), w)


@pytest.mark.parametrize("lr", [0.1, 10.0])
def test_alr_hb(lr):
    w = last = begin()
    for n in range(18):
        f, g = oracle(w, n)
        eta = float(f) / float(g @ g) + 0.7 * float(g @ (w - last)) / float(g @ g)
        w, last = w - min(lr, max(eta, 0.0)) * g + 0.7 * (w - last), w
    close(run(lambda p: fl.ALRHB(p, lr, 0.7)), w)


@pytest.mark.parametrize("lr", [0.1, 10.0])
def test_momsps(lr):
    w = last = begin()
    for n in range(18):
        f, g = oracle(w, n)
        eta = (1 - 0.8) * min(float(f) / (0.4 * float(g @ g)), lr)
        w, last = w - eta * g + 0.8 * (w - last), w
    close(run(lambda p: fl.MomSPS(p, lr, 0.8)), w)


def momo_adam(lr: float, decay: float, steps: int = 18) -> Tensor:
    w, m, v = begin(), torch.zeros(D).double(), torch.zeros(D).double()
    f_mean = gamma = 0.0
    for n in range(steps):
        f, g = oracle(w, n)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        f_mean, gamma = 0.9 * f_mean + 0.1 * float(f), 0.9 * gamma + 0.1 * float(g @ w)
        rho, cost = 1 - 0.9 ** (n + 1), (v / (1 - 0.999 ** (n + 1))).sqrt() + 1e-8
        h = (1 + lr * decay) * (f_mean - rho * 0.05 - gamma) + float(m @ w)
        tau = min(lr / rho, max(h, 0.0) / float(m @ (m / cost)))
        w = (w - tau * m / cost) / (1 + lr * decay)
    return w


@pytest.mark.parametrize("lr", [0.01, 3.0])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_momo_adam(lr, decay):
    close(run(lambda p: fl.MoMoAdam(p, lr, weight_decay=decay, lb=0.05)), momo_adam(lr, decay))


# --- the official package -----------------------------------------------------------------------------------------


def together(**how: Any) -> Callable[[Any], Any]:
    """Ours takes all tensors, the official one the same list."""
    return lambda kind: lambda p: kind(p, **how)


@pytest.mark.parametrize("correct", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("lr", [0.05, 2.0])
def test_momo_is_the_official_one(correct, decay, learn, lr):
    momo = pytest.importorskip("momo")
    built = together(lr=lr, weight_decay=decay, bias_correction=correct, use_fstar=learn, lb=-0.1)
    torch.set_default_dtype(torch.float64)  # its <g, w> is a torch.zeros(1)
    try:
        close(run(built(fl.MoMo)), run(built(momo.Momo)), 1e-9)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("lr", [0.01, 2.0])
def test_momo_adam_is_the_official_one(learn, lr):
    momo = pytest.importorskip("momo")
    built = together(lr=lr, weight_decay=0.05, use_fstar=learn)
    torch.set_default_dtype(torch.float64)
    try:
        close(run(built(fl.MoMoAdam)), run(built(momo.MomoAdam)), 1e-9)
    finally:
        torch.set_default_dtype(torch.float32)


# --- identities ---------------------------------------------------------------------------------------------------


def test_momo_without_memory_is_sps_with_c_1():
    close(run(lambda p: fl.MoMo(p, 0.5, beta=0.0)), sps(cap=0.5, c=1.0))


@pytest.mark.parametrize("build", [fl.ALRSMAG, fl.ALRHB, fl.MomSPS])
def test_without_momentum_all_are_sps(build):
    close(run(lambda p: build(p, 0.5, 0.0, 0.7)), sps(cap=0.5, c=0.7))


def test_far_above_the_bound_momo_adam_is_adam():
    plain = run(lambda p: Listening(fl.Adam(p, lr=0.02)))
    close(run(lambda p: fl.MoMoAdam(p, 0.02, lb=-1e6)), plain)


class Listening:
    """An optimizer that is told the loss and does not care."""

    def __init__(self, opt: Any) -> None:
        self.opt, self.zero_grad = opt, opt.zero_grad

    def step(self, loss: Any) -> None:
        self.opt.step()


@pytest.mark.parametrize("name", ["SPS", "AliG", "MoMo", "ALRSMAG", "ALRHB", "MomSPS"])
@pytest.mark.parametrize("scale", [2.0**-10, 2.0**10])
def test_the_units_of_the_loss_do_not_matter_where_the_cap_does_not_bind(name, scale):
    free = {"eps": 0.0} if name in ("SPS", "AliG") else {}
    free |= {"n_batches_per_epoch": None} if name == "SPS" else {}
    build = getattr(fl, name)
    close(run(lambda p: build(p, 1e9, **free), scale=scale), run(lambda p: build(p, 1e9, **free)), 1e-9)


@pytest.mark.parametrize("name", ["SPS", "AliG", "ALRSMAG", "ALRHB", "MomSPS", "MoMo", "MoMoAdam", "SANIA"])
def test_what_is_maximized_is_the_negative_loss_and_has_its_lower_bound(name):
    build = getattr(fl, name)
    assert run(build).equal(run(lambda p: build(p, maximize=True), scale=-1.0))
    up = {} if name == "AliG" else {"lb": 0.0}
    assert run(lambda p: build(p, maximize=True, **up)).equal(begin())  # minus this loss lies below 0, always


def test_two_that_would_each_spend_the_whole_loss_are_refused():
    class Two(Descent):
        def sentence(self, group):
            metric = fl.Euclid() if group["flat"] else fl.Sign()
            return Rule(fl.Identity(), metric, fl.QuadraticModel(), fl.Decoupled())

    a, b = (Parameter(torch.ones(2)) for _ in range(2))
    opt = Two([{"params": [a], "flat": True}, {"params": [b], "flat": False}], lr=1.0)
    loss = (a * b).sum()
    loss.backward()
    with pytest.raises(ValueError, match=r"metrics of several kinds decide apart, so together .* Constant\(\)"):
        opt.step(loss=loss)
    assert a.detach().equal(torch.ones(2))


@pytest.mark.parametrize("lr", [1.0, 1000.0])
@pytest.mark.parametrize("name", ["SPS", "AliG", "MoMo", "MoMoAdam", "ALRHB", "MomSPS", "SANIA"])
def test_interpolated_least_squares_converges_for_any_cap(name, lr):
    """Everything else stays as it is; for SANIA lr is a factor on Newton's step, so it keeps its 1."""
    how = {"c": 1.0} if name in ("SPS", "MomSPS") else {}
    lr = 1.0 if name == "SANIA" else lr
    how |= {"momentum": 0.5} if name in ("ALRHB", "MomSPS") else {"betas": (0.5, 0.99)} if name == "MoMoAdam" else {}
    how |= {"beta": 0.5} if name == "MoMo" else {"preconditioner": "identity"} if name == "SANIA" else {}
    w = run(lambda p: getattr(fl, name)(p, lr, **how), 120, noise=0.0)
    a, b = data(0.0)
    assert float((a @ w - b).square().mean()) < 1e-5


def test_the_distance_falls_in_every_step():
    """c >= 1/2 and no cap, convex losses that the solution fits: ||w - w*|| is monotone."""
    a, b = data(0.0)
    solution = torch.linalg.lstsq(a, b).solution
    build = lambda p: fl.SPS(p, 1e9, 0.5, n_batches_per_epoch=None)  # noqa: E731
    far = [float((run(build, n, noise=0.0) - solution).norm()) for n in range(12)]
    assert all(later <= now + 1e-12 for now, later in pairwise(far)) and far[-1] < 0.5 * far[0]


# --- any metric ---------------------------------------------------------------------------------------------------

METRICS = {
    "euclid": fl.Euclid(),
    "moment": fl.SecondMoment(),
    "sign": fl.Sign(),
    "spectral": fl.Spectral(fl.SVD()),
    "own": fl.OwnDual(fl.Spectral(fl.SVD())),
}
STEPS = {
    "polyak": fl.Polyak(1.0),
    "momo": fl.TruncatedModel(fl.Identity()),
    "sania": fl.QuadraticModel(),
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_the_model_ends_at_its_lower_bound(metric, step):
    """f + <g, dw> (+ N(dw)^2 / 2 for SANIA) = lb after the step, in every geometry; two matrices share it."""
    params = [Parameter(torch.randn(4, 3, generator=torch.Generator().manual_seed(i)).double()) for i in range(2)]
    opt = Descent(params, Rule(fl.Identity(), metric, step, fl.Decoupled()), lr=1e9 if step != STEPS["sania"] else 1.0)
    gradients = [p.detach().cos() for p in params]
    for p, g in zip(params, gradients, strict=True):
        p.grad = g
    before = [p.detach().clone() for p in params]
    opt.step(loss=0.2)
    moves = [p.detach() - x for p, x in zip(params, before, strict=True)]
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, moves, strict=True))
    if step == STEPS["sania"]:
        slope += square(metric, opt, moves) / 2
    assert slope == pytest.approx(-0.2, rel=1e-9)


def square(metric: Any, opt: Any, moves: list[Tensor]) -> float:
    """N(move)^2: squares add up for quadratic norms, of balls the largest counts."""
    mems = [remembered(opt, p) for p in owned(opt)]
    t = torch.ones((), dtype=torch.float64)
    found = [float(metric.norm(d, mem, t)) for d, mem in zip(moves, mems, strict=True)]
    return sum(x * x for x in found) if metric.linear else max(found) ** 2


def remembered(opt: Any, p: Tensor) -> Memory:
    """What the metric knows of a parameter."""
    return Memory(opt.state[p]).within("metric")


def test_groups_of_different_lr_share_one_factor_and_still_end_at_the_bound():
    params = [Parameter(torch.tensor([1.0, 2.0]).double()), Parameter(torch.tensor([3.0]).double())]
    groups = [{"params": params[:1], "lr": 5.0}, {"params": params[1:], "lr": 50.0}]
    opt = Descent(groups, Rule(fl.Identity(), fl.Euclid(), fl.Polyak(), fl.Decoupled()))
    before = [p.detach().clone() for p in params]
    for p in params:
        p.grad = p.detach().clone()
    opt.step(loss=0.7)
    moves = [p.detach() - x for p, x in zip(params, before, strict=True)]
    assert sum(float((d * x).sum()) for d, x in zip(moves, before, strict=True)) == pytest.approx(-0.7)
    assert float(moves[1] / before[1]) == pytest.approx(10 * float(moves[0][0] / before[0][0]))


# --- SANIA --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["identity", "adagrad-sqr", "adam-sqr", "adam"])
def test_sania(word):
    w, total, mean = begin(), torch.zeros(D).double(), torch.zeros(D).double()
    for n in range(18):
        f, g = oracle(w, n)
        total, mean = total + g * g, 0.999 * mean + 0.001 * g * g
        hat = mean / (1 - 0.999 ** (n + 1))
        cost = {"identity": 1.0, "adagrad-sqr": total + 1e-8, "adam-sqr": hat + 1e-8, "adam": hat.sqrt() + 1e-8}[word]
        s = g / cost
        x = 2 * float(f) / float(g @ s)
        w = w - (1 - (1 - x) ** 0.5 if x <= 1 else 1.0) * s
    close(run(lambda p: fl.SANIA(p, preconditioner=word)), w, 1e-9)


@pytest.mark.parametrize("word", ["adagrad-sqr", "adam-sqr"])
def test_sania_does_not_see_the_units_of_features(word):
    """Features times s, weights by s: the same predictions, to rounding."""
    s = torch.tensor([1e-3, 1e2, 1.0, 30.0, 0.1, 7.0]).double()
    a, b = data()
    ends = []
    for unit in (torch.ones(D).double(), s):
        w = Parameter(begin() / unit)
        opt = fl.SANIA([w], preconditioner=word, eps=0.0)
        for n in range(18):
            opt.zero_grad()
            loss = batch_loss(w, n, a * unit, b)
            loss.backward()
            opt.step(loss=loss)
        ends.append(w.detach() * unit)
    close(*ends)


def test_sania_far_from_newton_is_polyak():
    """lambda = f / n (1 + f / 2n + ...), without cancellation."""
    w = Parameter(torch.tensor([1.0]).double())
    opt = fl.SANIA([w], preconditioner="identity")
    w.grad = torch.tensor([1.0]).double()
    opt.step(loss=1e-14)
    assert 1 - float(w.detach()) == pytest.approx(1e-14, rel=0.02)  # of the weight's own rounding
    assert opt.report()["groups"][0]["effective_lr"] == pytest.approx(1e-14, rel=1e-12)


# --- normalised, AdaGrad-norm -------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_beta_normalised(beta):
    w, m = begin(), torch.zeros(D).double()
    for n in range(18):
        _, g = oracle(w, n)
        m = 0.5 * m + 0.5 * g
        hat = m / (1 - 0.5 ** (n + 1))
        w = w - 0.05 * hat / hat.norm() ** beta
    close(run(lambda p: Listening(fl.NormalizedSGD(p, 0.05, beta, 0.5))), w)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_beta_normalised_lengths_in_any_metric(metric, beta):
    """The step is lr N'(g)^(1 - beta) long, in the metric's own norm."""
    w = Parameter(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double())
    opt = fl.NormalizedSGD([w], 0.1, beta, metric=metric)
    w.grad, before = 3 * w.detach().cos(), w.detach().clone()
    opt.step()
    mem = remembered(opt, w)
    t = torch.ones((), dtype=torch.float64)
    length, dual = float(metric.norm(w.detach() - before, mem, t)), float(metric.dual(w.grad, mem, t))
    assert length == pytest.approx(0.1 * dual ** (1 - beta), rel=1e-9)


def test_normalised_steps_survive_where_gradients_explode():
    """cosh from 12: gradient descent overflows for lr >= 1e-3, normalised it walks home."""
    w = Parameter(torch.tensor([12.0]).double())
    opt = fl.NormalizedSGD([w], 0.1)
    for _ in range(140):
        w.grad = w.detach().sinh()
        opt.step()
    assert abs(float(w.detach())) <= 0.11


def adagrad(scope: str) -> Tensor:
    w, b = begin(), torch.full((D,), 1e-12).double()
    for n in range(18):
        _, g = oracle(w, n)
        cuts = [2, D - 2] if scope == "parameter" else [D]
        b = b + torch.cat([x.square().sum().expand(len(x)) for x in g.split(cuts)])
        w = w - 0.5 * g / b.sqrt()
    return w


@pytest.mark.parametrize("scope", ["global", "parameter"])
def test_adagrad_norm(scope):
    close(run(lambda p: Listening(fl.AdaGradNormSGD(p, 0.5, scope=scope))), adagrad(scope))


def test_adagrad_norm_does_not_see_the_units_of_the_loss():
    ends = [run(lambda p: Listening(fl.AdaGradNormSGD(p, 0.5, 1e-30)), scale=s) for s in (1.0, 2.0**12)]
    close(*ends)


# --- what may go wrong --------------------------------------------------------------------------------------------

HEARING = ["SPS", "AliG", "ALRSMAG", "ALRHB", "MomSPS", "MoMo", "MoMoAdam", "SANIA"]


@pytest.mark.parametrize("name", HEARING)
def test_no_loss_no_step(name):
    w = Parameter(torch.ones(3))
    opt = getattr(fl, name)([w])
    w.grad = torch.ones(3)
    with pytest.raises(RuntimeError, match="loss"):
        opt.step()
    assert w.detach().tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", HEARING)
@pytest.mark.parametrize("gradient", [0.0, 1.0])
def test_below_the_bound_nothing_breaks_and_later_it_goes_on(name, gradient):
    """f < lb, f = lb, and no slope at all."""
    w = Parameter(torch.ones(3))
    opt = getattr(fl, name)([w], lr=0.5)
    for loss in (-3.0, 0.0, -1.0):
        w.grad = torch.full((3,), gradient)
        opt.step(loss=loss)
        assert bool(w.isfinite().all())
    if name != "MoMo" and name != "MoMoAdam":  # whose models remember losses below their bound
        assert w.detach().tolist() == [1.0, 1.0, 1.0]
    for _ in range(40):
        w.grad = torch.full((3,), 1.0)
        opt.step(loss=2.0)
    assert bool(w.isfinite().all()) and float(w.detach()[0]) < 1.0


def test_a_loss_that_is_not_finite_changes_nothing():
    w = Parameter(torch.ones(3))
    opt = fl.MoMo([w])
    w.grad = torch.ones(3)
    opt.step(loss=1.0)
    before = snapshot(opt)
    with pytest.warns(UserWarning, match="loss"):
        opt.step(loss=float("nan"))
    after = snapshot(opt)
    assert not differences((before["params"], before["state"]), (after["params"], after["state"]))


@pytest.mark.parametrize("learn", [False, True])
def test_groups_that_decay_and_groups_that_do_not_are_one_model(learn):
    """Two models of one loss would each go all the way to its lower bound."""
    a, b = Parameter(torch.ones(3)), Parameter(torch.full((3,), 2.0))
    groups = [{"params": [a], "weight_decay": 0.0}, {"params": [b], "weight_decay": 1e-12}]
    opt = fl.MoMo(groups, lr=100.0, use_fstar=learn)
    loss = a.square().sum() + b.square().sum()
    loss.backward()
    opt.step(loss=loss)
    assert opt.state[a]["step.share"] is opt.state[b]["step.share"]
    assert_close(a.detach(), torch.full((3,), 0.5))
    assert_close(b.detach(), torch.ones(3))


@pytest.mark.parametrize("build", [fl.SPS, fl.AliG, fl.MoMo, fl.SANIA], ids=lambda x: x.__name__)
def test_a_late_step_waits_for_the_first_loss(build):
    """Its cap may be a thousand times too long."""
    w = Parameter(torch.ones(3))
    opt = build([w], lr=1000.0, delay=1)
    for moved in (False, True):
        w.grad = torch.full((3,), 2.0)
        opt.step(loss=3.0)
        assert (float(w.detach()[0]) != 1.0) is moved


@pytest.mark.parametrize(
    "part, given",
    [
        (fl.Polyak, {"c": 0.0}),
        (fl.Polyak, {"lb": float("nan")}),
        (fl.SmoothPolyak, {"growth": 0.5}),
        (fl.TruncatedModel, {"average": fl.EMA(), "decay": -1.0}),
        (fl.NormPower, {"beta": 1.5}),
        (fl.NormSum, {"start": 0.0}),
        (fl.NormSum, {"scope": "layer"}),
        (fl.Inertia, {"mu": 1.0}),
        (fl.SquareMoment, {"beta": 1.0}),
    ],
)
def test_numbers_are_checked(part, given):
    with pytest.raises(ValueError, match=r"Invalid"):
        part(**given)


def test_a_model_needs_a_filter_and_sania_a_known_word():
    with pytest.raises(TypeError, match="EMA"):
        fl.TruncatedModel(0.9)
    with pytest.raises(ValueError, match="adam-sqr"):
        fl.SANIA([Parameter(torch.ones(1))], preconditioner="newton")


def test_the_bound_that_is_learned_rises_to_the_least_loss():
    """Noise keeps the loss above .02: the floor is found between lb and there."""
    seen = {}

    def build(p: Any) -> Any:
        seen["opt"] = fl.MoMo(p, 1.0, use_fstar=True)
        return seen["opt"]

    run(build, 100, noise=0.5)
    found = seen["opt"].report()["groups"][0]["found"][0]
    assert 0.0 < found["step.floor"] < 0.5


# --- the way they walk --------------------------------------------------------------------------------------------

FAMILY = ["sps", "alig", "alr-hb", "momo-adam", "sania", "aegdm", "aepg", "induced", "induced-log", "sgd-hd"]
FAMILY += ["normalized-sgd", "adagrad-norm"]  # one of each step


@pytest.mark.native
@pytest.mark.parametrize("name, late", [*((name, 0) for name in FAMILY), ("momo", 1), ("aegd", 1), ("alr-hb", 1)])
def test_through_a_kernel_it_walks_the_same_way(name, late):
    seen = []
    for foreach in (None, True):
        opt = REGISTRY[name].build(weights(((50, 40), (40,)), torch.float64), delay=late, foreach=foreach)
        walk(opt, stream(owned(opt), 6))
        seen.append((torch.cat([p.detach().flatten() for p in owned(opt)]), opt.report()["groups"][0]["route"]))
    (fast, route), (plain, _) = seen
    close(fast, plain, 1e-9)
    if compiler():
        assert route == "native"
