"""Steps that measure how far the weights came: DoG, DoWG, Prodigy, D-Adaptation, against loops and official code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from fallline import (
    SVD,
    DAdaptAdam,
    DAdaptSGD,
    DAdaptSum,
    Decoupled,
    Descent,
    DoG,
    DoGStep,
    DoWG,
    EscapeVelocity,
    Euclid,
    Frobenius,
    Identity,
    LDoG,
    OwnDual,
    Prodigy,
    ProdigyStep,
    QuasiHyperbolic,
    Rule,
    SecondMoment,
    Sign,
    SlotError,
    Spectral,
)
from fallline.core.field import count, inner
from fallline.core.part import Preconditioner
from sampler import noisy_descent

pytestmark = pytest.mark.usefixtures("interpreted")

SHAPES = ((6, 4), (3, 5), (7,))
NATIVE = pytest.param(None, marks=pytest.mark.native, id="native")
ROUTES = pytest.mark.parametrize("foreach", [NATIVE, pytest.param(True, id="bundle")])


def some(shapes=SHAPES, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Parameter]:
    source = torch.Generator().manual_seed(seed)
    return [Parameter(torch.randn(s, generator=source, dtype=torch.float64).to(dtype)) for s in shapes]


def gradients(steps: int = 20, shapes=SHAPES) -> list[list[Tensor]]:
    return noisy_descent(3, steps, shapes)


def walked(opt: torch.optim.Optimizer, steps: int = 20) -> list[Tensor]:
    """The weights after some gradients, which do not depend on them."""
    params = [p for group in opt.param_groups for p in group["params"]]
    for now in gradients(steps, tuple(tuple(p.shape) for p in params)):
        for p, g in zip(params, now, strict=True):
            p.grad = g.to(p.dtype).clone()
        opt.step()
    return [p.detach().clone() for p in params]


def same(a: list[Tensor], b: list[Tensor], rtol: float = 1e-10, atol: float = 1e-10) -> None:
    torch.testing.assert_close(a, b, rtol=rtol, atol=atol)


@dataclass(frozen=True)
class Weighed(Preconditioner):
    """norm(w)^2 = <w, w> / 7: D = 1 / 7."""

    scale: ClassVar[float] = 7.0

    def direction(self, u, mem, t):
        return u.mul(7.0)

    def inner(self, a, b, mem, t):
        return inner(a, b) / 7

    def trace(self, g, mem, t):
        return count(g) * 7


def square(xs: list[Tensor]) -> float:
    return float(sum((x**2).sum() for x in xs))


# --- DoG ----------------------------------------------------------------------------------


def dog(x: list[Tensor], steps: int, reps: float, eps: float, decay: float = 0.0, first: float | None = None):
    """The sheet's loop."""
    begin, total, r = x, eps, reps * (1 + square(x) ** 0.5) if first is None else 0.0
    for n, g in enumerate(gradients(steps, tuple(tuple(p.shape) for p in x))):
        g = [a + decay * b for a, b in zip(g, x, strict=True)]
        r = max(r, square([a - b for a, b in zip(x, begin, strict=True)]) ** 0.5)
        total += square(g)
        eta = first if n == 0 and first is not None else r / total**0.5
        x = [a - eta * b for a, b in zip(x, g, strict=True)]
    return x


@ROUTES
def test_dog_is_the_papers_loop(foreach):
    params = some()
    begin = [p.detach().clone() for p in params]
    same(walked(DoG(params, 0.01, foreach=foreach)), dog(begin, 20, 0.01, 1e-8))
    same(walked(DoG(some(), 0.01, weight_decay=0.3, foreach=foreach)), dog(begin, 20, 0.01, 1e-8, 0.3))
    same(walked(DoG(some(), init_eta=0.02, foreach=foreach)), dog(begin, 20, 0.0, 1e-8, first=0.02))


@ROUTES
def test_dowg_is_the_papers_loop(foreach):
    params = some()
    x = begin = [p.detach().clone() for p in params]
    v, r = 0.0, 1e-3 * (1 + square(x) ** 0.5)
    for g in gradients():
        r = max(r, square([a - b for a, b in zip(x, begin, strict=True)]) ** 0.5)
        v += r**2 * square(g)
        x = [a - r**2 / v**0.5 * b for a, b in zip(x, g, strict=True)]
    same(walked(DoWG(params, 1e-3, foreach=foreach)), x)


@ROUTES
def test_l_dog_is_dog_of_every_tensor(foreach):
    together = walked(LDoG(some(), 0.01, foreach=foreach))
    alone, everyone = some(), gradients()
    for i, p in enumerate(alone):
        opt = DoG([p], 0.01, foreach=foreach)
        for now in everyone:
            p.grad = now[i].clone()
            opt.step()
    same(together, [p.detach() for p in alone], 1e-14, 1e-14)


def test_dogs_average_follows_at_a_polynomial_pace():
    params = some()
    opt, mean, walks = DoG(params, 0.01, average=8), 0.0, gradients()
    for n, now in enumerate(walks, 1):
        for p, g in zip(params, now, strict=True):
            p.grad = g.clone()
        opt.step()
        c = 9 / (n + 8)
        mean = (1 - c) * mean + c * params[0].detach()
    with opt.averaged():
        same([params[0].detach()], [mean])
    same([p.detach() for p in params], walked(DoG(some(), 0.01)))


def test_dog_of_a_frozen_distance_is_adagrad_norm():
    """r_0 above all that is ever reached: size = r_0 / sqrt(sum norm(g)^2)."""
    params = some()
    x = [p.detach().clone() for p in params]
    r, total = 100 * (1 + square(x) ** 0.5), 1e8
    for g in gradients():
        total += square(g)
        x = [a - r / total**0.5 * b for a, b in zip(x, g, strict=True)]
    same(walked(DoG(params, 100.0, eps=1e8)), x)


@pytest.mark.parametrize("kind", [DoG, LDoG, DoWG])
def test_a_louder_loss_changes_nothing(kind):
    """f -> c f, where the sums begin with nothing."""
    paths = []
    for c in (1.0, 1e-4, 1e4):
        params = some()
        opt = kind(params, 0.01, eps=0.0)
        for now in gradients():
            for p, g in zip(params, now, strict=True):
                p.grad = g * c
            opt.step()
        paths.append([p.detach() for p in params])
    same(paths[0], paths[1])
    same(paths[0], paths[2])


@pytest.mark.parametrize("metric", [OwnDual(Spectral(SVD())), OwnDual(Frobenius())], ids=str)
def test_dog_in_the_root_of_the_sum_of_squared_norms(metric):
    shapes = ((6, 4), (3, 5))
    kinds = (2, "nuc") if isinstance(metric.metric, Spectral) else ("fro", "fro")
    norm, dual = (lambda x, k=k: float(torch.linalg.matrix_norm(x, k)) for k in kinds)
    params = some(shapes)
    opt = Descent(params, Rule(Identity(), metric, DoGStep(0.01), Decoupled(0.0)), lr=1.0)
    x = begin = [p.detach().clone() for p in params]
    r, total = 0.01 * (1 + sum(norm(p) ** 2 for p in x) ** 0.5), 1e-8
    for gs in gradients(20, shapes):
        r = max(r, sum(norm(a - b) ** 2 for a, b in zip(x, begin, strict=True)) ** 0.5)
        total += sum(dual(g) ** 2 for g in gs)
        turned = [dual(g) * (SVD()(g) if kinds[0] == 2 else g / dual(g)) for g in gs]
        x = [a - r / total**0.5 * d for a, d in zip(x, turned, strict=True)]
    same(walked(opt), x)


def test_dog_in_adams_metric():
    """norm(w)^2 = <w, D w> and dual(g)^2 = <g, D^-1 g>, with D as it is now."""
    params = some()
    opt = Descent(params, Rule(Identity(), SecondMoment(0.9, 1e-3), DoGStep(0.01), Decoupled(0.0)), lr=1.0)
    x = begin = [p.detach().clone() for p in params]
    v, r, total = [torch.zeros_like(p) for p in x], 0.0, 1e-8
    for n, g in enumerate(gradients(), 1):
        v = [0.9 * a + 0.1 * b**2 for a, b in zip(v, g, strict=True)]
        cost = [(a / (1 - 0.9**n)).sqrt() + 1e-3 for a in v]
        r = r or 0.01 * (1 + square([b * c.sqrt() for b, c in zip(begin, cost, strict=True)]) ** 0.5)
        r = max(r, square([(a - b) * c.sqrt() for a, b, c in zip(x, begin, cost, strict=True)]) ** 0.5)
        total += square([a / c.sqrt() for a, c in zip(g, cost, strict=True)])
        x = [a - r / total**0.5 * b / c for a, b, c in zip(x, g, cost, strict=True)]
    same(walked(opt), x)


@pytest.mark.parametrize("eta", [0.0, -1.0, float("inf")])
def test_dog_refuses_a_first_step_that_goes_nowhere(eta):
    with pytest.raises(ValueError, match="Invalid first"):
        DoG([Parameter(torch.ones(3))], init_eta=eta)


def test_dog_refuses_directions_of_one_length():
    with pytest.raises(SlotError, match=r"OwnDual\(Sign"):
        Rule(Identity(), Sign(), DoGStep(), Decoupled(0.0))
    with pytest.raises(SlotError, match="OwnDual"):
        Rule(Identity(), Euclid(), DoGStep(judge=Sign()), Decoupled(0.0))
    for wrong in ({"start": 0.0}, {"scope": "layer"}, {"eps": -1.0}):
        with pytest.raises(ValueError, match="Invalid"):
            DoGStep(**wrong)


# --- Prodigy ----------------------------------------------------------------------------------


def prodigy(
    x, steps=20, lr=1.0, betas=(0.9, 0.999), eps=1e-8, decay=0.0, d=1e-6, grow=torch.inf, bias=False, safe=False
):
    """The sheet's loop, decay beside the step."""
    begin, d0, peak, num, (b1, b2) = x, d, d, 0.0, betas
    m, v, s = ([torch.zeros_like(p) for p in x] for _ in range(3))
    b3 = b2**0.5
    for n, g in enumerate(gradients(steps, tuple(tuple(p.shape) for p in x)), 1):
        rate = d * lr * ((1 - b2**n) ** 0.5 / (1 - b1**n) if bias else 1.0)
        won = sum(float((a * (b - c)).sum()) for a, b, c in zip(g, begin, x, strict=True))
        num = b3 * num + d / d0 * rate * won
        m = [b1 * a + (1 - b1) * d * b for a, b in zip(m, g, strict=True)]
        v = [b2 * a + (1 - b2) * d**2 * b**2 for a, b in zip(v, g, strict=True)]
        s = [b3 * a + d / d0 * (d if safe else rate) * b for a, b in zip(s, g, strict=True)]
        found = num / sum(float(a.abs().sum()) for a in s)
        d_now = max(d, found) if d == d0 else d
        peak = max(peak, found)
        d = min(peak, d_now * grow)
        x = [(1 - decay * rate) * a - rate * b / (c.sqrt() + d * eps) for a, b, c in zip(x, m, v, strict=True)]
    return x, d


HOW = (
    {},
    {"eps": 0.1},
    {"bias": True, "decay": 0.1},
    {"safe": True, "lr": 0.5},
    {"grow": 1.1, "d": 1e-3},
)
OURS = {"d": "d0", "grow": "growth_rate", "bias": "use_bias_correction", "safe": "safeguard_warmup"}
OURS |= {"decay": "weight_decay"}


@ROUTES
@pytest.mark.parametrize("how", HOW, ids=str)
def test_prodigy_is_the_papers_loop(how, foreach):
    params = some()
    wanted, d = prodigy([p.detach().clone() for p in params], **how)
    opt = Prodigy(params, **{OURS.get(name, name): x for name, x in how.items()}, foreach=foreach)
    same(walked(opt), wanted)
    assert d > 2 * how.get("d", 1e-6)
    assert opt.report()["groups"][0]["found"][0]["step.d"] == pytest.approx(d, rel=1e-10)


def test_prodigy_whose_d_stays_is_adam():
    ours = walked(Prodigy(some(), d0=0.01, d_coef=1e-12, use_bias_correction=True, eps=1e-16))
    same(ours, walked(torch.optim.Adam(some(), lr=0.01, eps=1e-16)))


@pytest.mark.parametrize("lr", [1.0, 0.5])
def test_prodigy_without_averages_is_the_escape_velocity(lr):
    """Which was found in one step serves in the next."""

    def moved(step, delay):
        return walked(Descent(some(), Rule(Identity(), Sign(), step, Decoupled(0.1)), lr=lr, delay=delay))

    same(moved(ProdigyStep(0.01, beta=0.0), 0), moved(EscapeVelocity(0.01), 1))


def test_one_distance_for_matrices_and_the_rest():
    """Polar factors for matrices, signs for the rest, as with Muon: dual norms add up over both."""

    class Two(Descent):
        def sentence(self, group):
            metric = Spectral(SVD()) if group["matrices"] else Sign()
            return Rule(QuasiHyperbolic(0.9), metric, ProdigyStep(1e-3, beta=0.95), Decoupled(0.0))

    params = some()
    groups = [{"params": params[:2], "matrices": True}, {"params": params[2:], "matrices": False}]
    opt = Two(groups, lr=1.0)
    x = begin = [p.detach().clone() for p in params]
    m, s = ([torch.zeros_like(p) for p in x] for _ in range(2))
    d, num = 1e-3, 0.0
    for g in gradients(40):
        num = 0.95 * num + d**2 * sum(float((a * (b - c)).sum()) for a, b, c in zip(g, begin, x, strict=True))
        s = [0.95 * a + d**2 * b for a, b in zip(s, g, strict=True)]
        m = [0.9 * a + 0.1 * d * b for a, b in zip(m, g, strict=True)]
        dual = sum(float(torch.linalg.matrix_norm(a, "nuc")) for a in s[:2]) + float(s[2].abs().sum())
        x = [a - d * b for a, b in zip(x, [SVD()(m[0]), SVD()(m[1]), m[2].sign()], strict=True)]
        d = max(d, num / dual)
    same(walked(opt, 40), x, 1e-9, 1e-9)
    assert d > 2e-3


def test_prodigy_refuses_what_it_leaves_out():
    with pytest.raises(ValueError, match="slice_p"):
        Prodigy(some(), slice_p=11)
    with pytest.raises(ValueError, match="belong to the whole optimizer"):
        Prodigy([{"params": some(), "delay": 1}])


@pytest.mark.parametrize("kind", [DoG, DoWG, Prodigy, DAdaptAdam])
def test_narrow_weights_leave_their_place(kind):
    """Rounded to the nearest they never would: the first steps are too short for bfloat16, and so no other comes."""
    found = {}
    for write in (None, "nearest"):
        p = Parameter(torch.ones(20, dtype=torch.bfloat16))
        opt = kind([p], write=write)
        for _ in range(60):
            p.grad = torch.ones_like(p)
            opt.step()
        state = opt.state[p]
        found[write] = float(state["step.d"] if "step.d" in state else state["step.r"]), bool((p != 1).any())
    assert found[None][0] > (1e-4 if kind is DoG else 0.01)
    assert kind is DAdaptAdam or not found["nearest"][1]


# --- D-Adaptation ----------------------------------------------------------------------------------


def adapted_sgd(x, steps=20, lr=1.0, momentum=0.0, decay=0.0, d=1e-6, grow=torch.inf):
    """The sheet's loop, z and x apart; decay also in the first norm."""
    begin, r, first = x, 0.0, None
    s = [torch.zeros_like(p) for p in x]
    for g in gradients(steps, tuple(tuple(p.shape) for p in x)):
        g = [a + decay * b for a, b in zip(g, x, strict=True)]
        first = first or square(g) ** 0.5
        w = lr * d / first
        r += w * sum(float((a * b).sum()) for a, b in zip(g, s, strict=True))
        s = [a + w * b for a, b in zip(s, g, strict=True)]
        d = max(d, min(2 * r / square(s) ** 0.5, d * grow))
        x = [momentum * a + (1 - momentum) * (b - c) for a, b, c in zip(x, begin, s, strict=True)]
    return x, d


def adapted_adam(x, steps=20, lr=1.0, betas=(0.9, 0.999), eps=1e-8, decay=0.0, d=1e-6, grow=torch.inf, bias=False):
    """The sheet's loop, decay beside the step."""
    (b1, b2), b, num = betas, betas[1] ** 0.5, 0.0
    m, v, s = ([torch.zeros_like(p) for p in x] for _ in range(3))
    for n, g in enumerate(gradients(steps, tuple(tuple(p.shape) for p in x)), 1):
        w = d * lr * ((1 - b2**n) ** 0.5 / (1 - b1**n) if bias else 1.0)
        won = w * sum(float((a * c / (q.sqrt() + eps)).sum()) for a, c, q in zip(g, s, v, strict=True))
        m = [b1 * a + (1 - b1) * w * c for a, c in zip(m, g, strict=True)]
        v = [b2 * a + (1 - b2) * c**2 for a, c in zip(v, g, strict=True)]
        s = [b * a + (1 - b) * w * c for a, c in zip(s, g, strict=True)]
        num = b * num + (1 - b) * won
        d = max(d, min(num / (1 - b) / sum(float(a.abs().sum()) for a in s), d * grow))
        x = [(1 - decay * w) * a - c / (q.sqrt() + eps) for a, c, q in zip(x, m, v, strict=True)]
    return x, d


SGD_HOW = ({}, {"momentum": 0.9}, {"lr": 0.5, "momentum": 0.5, "decay": 0.1, "grow": 1.5})
ADAM_HOW = ({}, {"eps": 0.1, "grow": 1.5}, {"bias": True, "decay": 0.1, "lr": 0.5})


@ROUTES
@pytest.mark.parametrize(
    ("kind", "loop", "how"),
    [*((DAdaptSGD, adapted_sgd, how) for how in SGD_HOW), *((DAdaptAdam, adapted_adam, how) for how in ADAM_HOW)],
)
def test_d_adaptation_is_the_papers_loop(kind, loop, how, foreach):
    params, grow = some(), ({"decouple": True} if kind is DAdaptAdam else {})
    wanted, d = loop([p.detach().clone() for p in params], **how)
    opt = kind(params, **{OURS.get(name, name): x for name, x in how.items()}, **grow, foreach=foreach)
    same(walked(opt), wanted, 1e-9, 1e-9)
    assert d > 2e-6
    assert opt.report()["groups"][0]["found"][0]["step.d"] == pytest.approx(d, rel=1e-9)


@pytest.mark.parametrize("metric", [Euclid(), Weighed()], ids=["plain", "weighed"])
def test_the_sum_wins_what_its_square_says(metric):
    """2 sum w <g, M s> = N'(s)^2 - sum w^2 N'(g)^2, in units of d_0 / N'(g_0), in any fixed quadratic norm."""
    params = some()
    opt = Descent(params, Rule(Identity(), metric, DAdaptSum(1e-2), Decoupled(0.0)), lr=1.0)
    weights, seen = [], gradients()
    for now in seen:
        for p, g in zip(params, now, strict=True):
            p.grad = g.clone()
        opt.step()
        weights.append(float(opt.state[params[0]]["step.weight"]))
    state = [opt.state[p] for p in params]
    scale = metric.scale if isinstance(metric, Weighed) else 1.0
    steep = sum(w**2 * square(g) * scale for w, g in zip(weights, seen, strict=True))
    assert 2 * float(state[0]["step.r"]) == pytest.approx(
        square([x["step.s"] for x in state]) * scale - steep, rel=1e-10
    )


# --- a problem whose solution is known ------------------------------------------------------------------------------


def regression():
    """The mean of |A x - b|, 30 by 8, and its solution, at which it is 0."""
    source = torch.Generator().manual_seed(0)
    a = torch.randn(30, 8, generator=source, dtype=torch.float64)
    solution = torch.randn(8, generator=source, dtype=torch.float64)
    return lambda x: (a @ (x - solution)).abs().mean(), solution


FOUND = {
    "sum": (lambda p: DAdaptSGD([p]), 2, 1.0),
    "average": (lambda p: DAdaptAdam([p]), torch.inf, 1.5),  # no proof: M s stands for the way that was gone
    "prodigy": (lambda p: Prodigy([p]), torch.inf, 1.0),
    "escape": (lambda p: Descent([p], Rule(Identity(), Sign(), EscapeVelocity(), Decoupled()), lr=1.0), torch.inf, 1.0),
}


@pytest.mark.parametrize("name", FOUND)
def test_d_never_shrinks_and_stays_below_the_distance(name):
    """Where the loss is convex and without noise; the distance in the norm whose dual the method takes."""
    build, order, most = FOUND[name]
    loss, solution = regression()
    x = Parameter(torch.zeros(8, dtype=torch.float64))
    opt, path, mean = build(x), [], torch.zeros(8, dtype=torch.float64)
    for n in range(1, 251):
        opt.zero_grad()
        loss(x).backward()
        opt.step()
        state = opt.state[x]
        path.append(float(state.get("step.d", state.get("step.eta"))))
        mean += (x.detach() - mean) / max(n - 60, 1)
    far = float(torch.linalg.vector_norm(solution, order))
    assert path == sorted(path)
    assert 0.05 * far < path[-1] <= most * far
    assert float(loss(mean)) < 0.2 * float(loss(torch.zeros(8, dtype=torch.float64)))


@pytest.mark.parametrize("kind", [DoG, DoWG])
def test_dog_comes_as_far_as_the_solution_is(kind):
    loss, solution = regression()
    x = Parameter(torch.zeros(8, dtype=torch.float64))
    opt = kind([x], 1e-3)
    for _ in range(250):
        opt.zero_grad()
        loss(x).backward()
        opt.step()
    assert 0.5 * float(solution.norm()) < float(opt.state[x]["step.r"]) < 3 * float(solution.norm())


# --- official code ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{"reps_rel": 1e-3}, {"init_eta": 1e-3}, {"reps_rel": 1e-2, "weight_decay": 0.1}], ids=str
)
@pytest.mark.parametrize("kind", ["DoG", "LDoG"])
def test_the_official_dog(kind, how):
    official = pytest.importorskip("dog")
    theirs = walked(getattr(official, kind)(some(), **how))
    same(walked({"DoG": DoG, "LDoG": LDoG}[kind](some(), **how)), theirs, 1e-12, 1e-12)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"eps": 0.1, "beta3": 0.9},
        {"use_bias_correction": True, "weight_decay": 0.1},
        {"decouple": False, "weight_decay": 0.1, "d_coef": 2.0},
        {"safeguard_warmup": True, "growth_rate": 1.02, "d0": 1e-4},
    ],
    ids=str,
)
def test_the_official_prodigy(how):
    official = pytest.importorskip("prodigyopt")
    same(walked(Prodigy(some(), **how)), walked(official.Prodigy(some(), **how)))
    narrow = walked(official.Prodigy(some(dtype=torch.float32), **how))
    same(walked(Prodigy(some(dtype=torch.float32), **how)), narrow, 1e-4, 1e-4)


@pytest.mark.parametrize("how", [{}, {"momentum": 0.9, "lr": 0.5}, {"growth_rate": 1.02, "d0": 1e-4}], ids=str)
def test_the_official_d_adaptation_of_sgd(how):
    """Without decay, which it leaves out of the first norm."""
    official = pytest.importorskip("dadaptation")
    same(walked(DAdaptSGD(some(), **how)), walked(official.DAdaptSGD(some(), **how)))


@pytest.mark.parametrize(
    "how",
    [{}, {"eps": 0.1, "growth_rate": 1.1, "d0": 1e-4}, {"use_bias_correction": True, "weight_decay": 0.1}],
    ids=str,
)
@pytest.mark.parametrize("decouple", [False, True])
def test_the_official_d_adaptation_of_adam(how, decouple):
    official = pytest.importorskip("dadaptation")
    how = {**how, "decouple": decouple}
    same(walked(DAdaptAdam(some(), **how)), walked(official.DAdaptAdam(some(), **how)), 1e-9, 1e-9)
