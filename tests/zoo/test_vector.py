"""The vector family: each named optimizer against a loop from its equations, torch, or its authors' package."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import (
    NIGT,
    QHM,
    SGD,
    SNSM,
    AdaBelief,
    Adam,
    AdaMax,
    AdamW,
    AdamWSN,
    AdEMAMix,
    AggMo,
    Cautious,
    CautiousAdamW,
    CautiousLion,
    Constant,
    Decoupled,
    Descent,
    Euclid,
    GradientSign,
    GramsAdamW,
    HeavyBall,
    Lion,
    MaxSecondMoment,
    MGUPAdamW,
    NAdam,
    OptAMSGrad,
    QHAdam,
    RAdam,
    RandomScale,
    RandomSGD,
    Rule,
    SecondMoment,
    Sign,
    SubsetNorm,
)
from fallline.core.kernel.compiler import compiler
from fallline.core.memory import Memory
from fallline.maps.foresight import extrapolated
from fallline.steps.chance import draw
from fallline.zoo.registry import REGISTRY
from sampler import noisy_descent

pytestmark = pytest.mark.usefixtures("interpreted")

SHAPES = ((6, 4), (5,))
F64 = torch.float64


def gradients(steps=20, seed=3):
    return noisy_descent(seed, steps, SHAPES)


def start():
    return [Parameter(torch.ones(shape, dtype=F64)) for shape in SHAPES]


def walked(build, steps=20):
    """What an optimizer makes of the stream."""
    params = start()
    opt = build(params)
    for grads in gradients(steps):
        for p, g in zip(params, grads, strict=True):
            p.grad = g.clone()
        opt.step()
    return [p.detach() for p in params]


def looped(move, steps=20):
    """The same by a loop: move(x, g, t, state) -> x, with a dictionary of its own for each tensor."""
    xs, states = [p.detach().clone() for p in start()], [{} for _ in SHAPES]
    for t, grads in enumerate(gradients(steps), start=1):
        xs = [move(x, g, t, s) for x, g, s in zip(xs, grads, states, strict=True)]
    return xs


def same(ours, theirs, tolerance=1e-11):
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=tolerance, atol=tolerance)


def ema(s, name, g, beta):
    """s[name] <- beta s[name] + (1 - beta) g."""
    s[name] = beta * s.get(name, torch.zeros_like(g)) + (1 - beta) * g
    return s[name]


# --- torch's own ------------------------------------------------------------------------------------------------------

TORCH = {
    "amsgrad": (Adam, torch.optim.Adam, {"amsgrad": True, "betas": (0.8, 0.9)}),
    "amsgrad, coupled": (Adam, torch.optim.Adam, {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    "amsgrad, decoupled": (AdamW, torch.optim.AdamW, {"amsgrad": True, "weight_decay": 0.1}),
    "adamax": (AdaMax, torch.optim.Adamax, {"betas": (0.8, 0.9), "weight_decay": 0.1}),
    "nadam": (NAdam, torch.optim.NAdam, {"betas": (0.8, 0.9), "momentum_decay": 0.1}),
    "nadam, decoupled": (NAdam, torch.optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    "radam": (RAdam, torch.optim.RAdam, {"betas": (0.8, 0.9), "weight_decay": 0.1}),
    "radam, decoupled": (RAdam, torch.optim.RAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
}


@pytest.fixture
def wide():
    """torch keeps NAdam's product of momenta in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(F64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("route", ({}, {"foreach": True}))
@pytest.mark.parametrize("name", TORCH)
def test_torch_agrees(name, route, wide):
    ours, theirs, numbers = TORCH[name]
    same(
        walked(lambda p: ours(p, lr=0.01, **numbers, **route)),
        walked(lambda p: theirs(p, lr=0.01, foreach=False, **numbers)),
    )


@pytest.mark.parametrize("dtype", (torch.float32, F64))
def test_amsgrad_has_the_bits_of_torch_s_fused_kernel(dtype):
    both = [[Parameter(torch.ones(40, dtype=dtype))] for _ in range(2)]
    opts = [AdamW(both[0], amsgrad=True, fused=True), torch.optim.AdamW(both[1], amsgrad=True, fused=True)]
    for n in range(20):
        g = torch.randn(40, dtype=dtype, generator=torch.Generator().manual_seed(n)) * (5.0 if n < 5 else 1.0)
        for params, opt in zip(both, opts, strict=True):
            params[0].grad = g.clone()
            opt.step()
    assert torch.equal(both[0][0], both[1][0])
    assert opts[0].report()["groups"][0]["route"] == "fused"


def test_amsgrad_is_adam_while_squares_grow_and_differs_after():
    rising = [torch.full((3,), 1.1**n, dtype=F64) for n in range(12)]
    ends = []
    for stream in (rising, rising[::-1]):
        for flag in (True, False):
            p = Parameter(torch.zeros(3, dtype=F64))
            opt = Adam([p], lr=0.1, betas=(0.9, 0.5), amsgrad=flag)
            for g in stream:
                p.grad = g.clone()
                opt.step()
            ends.append(p.detach())
    same(ends[:1], ends[1:2])
    assert (ends[2] - ends[3]).abs().min() > 1e-3


def test_adam_goes_to_the_wrong_end_and_amsgrad_does_not():
    """Gradients C, -1, -1 on [-1, 1]: their mean is positive, so -1 is best; lr / sqrt(t), no momentum."""
    c, beta, ends = 3.0, 1 / (1 + 3.0**2), {}
    for metric in (SecondMoment(beta), MaxSecondMoment(beta)):
        x, mem = torch.zeros(1, dtype=F64), Memory(metric.memory(torch.zeros(1, dtype=F64)))
        for n in range(1, 1201):
            t = torch.tensor(float(n), dtype=F64)
            g = torch.full((1,), c if n % 3 == 1 else -1.0, dtype=F64)
            metric.observe(g, mem, t)
            x = (x - 0.1 / n**0.5 * metric.direction(g, mem, t)).clamp(-1, 1)
        ends[type(metric)] = float(x)
    assert ends[SecondMoment] > 0.8 and ends[MaxSecondMoment] < -0.8


@pytest.mark.native
@pytest.mark.parametrize("bank", ("probe", "full"))
def test_a_momentum_chooses_itself_with_amsgrad_as_well(bank):
    opt = AdamW([Parameter(torch.ones(3000))], lr=0.01, betas=("auto", 0.999), amsgrad=True, bank=bank)
    for n in range(6):
        opt.param_groups[0]["params"][0].grad = torch.randn(3000, generator=torch.Generator().manual_seed(n))
        opt.step()
    assert opt.report()["groups"][0]["route"] == "native" or not opt.report()["groups"][0]["route"].startswith(
        "readable"
    )


# --- loops from the equations -----------------------------------------------------------------------------------------


def adabelief(x, g, t, s, lr=0.01, b1=0.9, b2=0.99, eps=1e-8):
    m = ema(s, "m", g, b1)
    v = ema(s, "s", (g - m) ** 2, b2)
    s["s"] = v + eps
    return x - lr * m / (1 - b1**t) / ((s["s"] / (1 - b2**t)).sqrt() + eps)


def aggmo(x, g, t, s, lr=0.01, betas=(0.0, 0.9, 0.99)):
    for b in betas:
        s[b] = b * s.get(b, 0.0) + g
    return x - lr / len(betas) * sum(s[b] for b in betas)


def ademamix(x, g, t, s, lr=0.01, b1=0.9, b2=0.99, b3=0.999, alpha=5.0, warmup=10, decay=0.1):
    share = min(t / warmup, 1.0)
    ln = math.log
    now = min(math.exp(ln(b1) * ln(b3) / ((1 - share) * ln(b3) + share * ln(b1))), b3)
    m1, m2, v = ema(s, "m", g, b1), ema(s, "l", g, now), ema(s, "v", g * g, b2)
    u = m1 / (1 - b1**t) + share * alpha * m2
    return x - lr * (u / ((v / (1 - b2**t)).sqrt() + 1e-8) + decay * x)


def adamw_direction(g, t, s, b1=0.9, b2=0.99):
    m, v = ema(s, "m", g, b1), ema(s, "v", g * g, b2)
    return m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + 1e-8)


def cautious(x, g, t, s, lr=0.01, decay=0.1):
    u = adamw_direction(g, t, s)
    mask = (u * g > 0).to(g.dtype)
    return x * (1 - lr * decay) - lr * u * mask / max(float(mask.mean()), 1e-3)


def cautious_lion(x, g, t, s, lr=0.01, decay=0.1, b1=0.9, b2=0.99):
    u = (b1 * s.get("m", 0.0) + (1 - b1) * g).sign()
    ema(s, "m", g, b2)
    mask = (u * g > 0).to(g.dtype)
    return x * (1 - lr * decay) - lr * u * mask / max(float(mask.mean()), 1e-3)


def grams(x, g, t, s, lr=0.01, decay=0.1):
    return x * (1 - lr * decay) - lr * g.sign() * adamw_direction(g, t, s).abs()


def mgup(x, g, t, s, lr=0.01, decay=0.1):
    u = adamw_direction(g, t, s)
    rank = (u * g).flatten().argsort(descending=True)
    factor = torch.full_like(u.flatten(), 0.5)
    factor[rank[: u.numel() // 2]] = 2.0
    return x * (1 - lr * decay) - lr * factor.view_as(u) * u


def qhadam(x, g, t, s, lr=0.01, b1=0.9, b2=0.99, nu1=0.8, nu2=0.7):
    m, v = ema(s, "m", g, b1) / (1 - b1**t), ema(s, "v", g * g, b2) / (1 - b2**t)
    return x - lr * ((1 - nu1) * g + nu1 * m) / (((1 - nu2) * g * g + nu2 * v).sqrt() + 1e-8)


def random_sgd(x, g, t, s, lr=0.01, mu=0.9):
    s["b"] = mu * s.get("b", 0.0) + g
    return x - lr * float(draw(7, torch.tensor(float(t), dtype=F64))) * s["b"]


BETAS = {"lr": 0.01, "betas": (0.9, 0.99)}
LOOPS = {
    "adabelief": (adabelief, lambda p, **k: AdaBelief(p, **BETAS, eps=1e-8, **k)),
    "aggmo": (aggmo, lambda p, **k: AggMo(p, lr=0.01, **k)),
    "ademamix": (
        ademamix,
        lambda p, **k: AdEMAMix(p, lr=0.01, betas=(0.9, 0.99, 0.999), warmup=10, weight_decay=0.1, **k),
    ),
    "cautious-adamw": (cautious, lambda p, **k: CautiousAdamW(p, **BETAS, weight_decay=0.1, **k)),
    "cautious-lion": (cautious_lion, lambda p, **k: CautiousLion(p, **BETAS, weight_decay=0.1, **k)),
    "grams-adamw": (grams, lambda p, **k: GramsAdamW(p, **BETAS, weight_decay=0.1, **k)),
    "mgup-adamw": (mgup, lambda p, **k: MGUPAdamW(p, **BETAS, weight_decay=0.1, **k)),
    "qhadam": (qhadam, lambda p, **k: QHAdam(p, **BETAS, nus=(0.8, 0.7), **k)),
    "random-sgd": (random_sgd, lambda p, **k: RandomSGD(p, lr=0.01, seed=7, **k)),
}


@pytest.mark.parametrize("route", (pytest.param({}, marks=pytest.mark.native), {"foreach": True}))
@pytest.mark.parametrize("name", LOOPS)
def test_the_loop_of_the_paper_agrees(name, route):
    move, build = LOOPS[name]
    same(walked(lambda p: build(p, **route)), looped(move))


COMPILED = ["amsgrad", "adamax", "nadam", "radam", "adabelief", "qhm", "qhadam", "aggmo", "ademamix", "grams-adamw"]
COMPILED += ["random-sgd"]


@pytest.mark.native
@pytest.mark.parametrize("name", COMPILED)
def test_elementwise_rules_compile_on_their_own(name):
    """To C, or to torch's fused kernel; masks that count each tensor's coordinates do not."""
    opt = REGISTRY[name].build([Parameter(torch.ones(40))])
    opt.param_groups[0]["params"][0].grad = torch.ones(40)
    opt.step()
    route = opt.report()["groups"][0]["route"]
    assert route in ("native", "fused") or compiler() is None


# --- the quasi-hyperbolic family --------------------------------------------------------------------------------------


def packaged(build):
    """qhoptim writes sums in a way that torch has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return walked(build)


@pytest.mark.parametrize("numbers", ({}, {"weight_decay": 0.1}))
def test_the_authors_package_agrees(numbers):
    qhoptim = pytest.importorskip("qhoptim.pyt")
    theirs = packaged(lambda p: qhoptim.QHM(p, lr=0.1, momentum=0.95, nu=0.7, **numbers))
    same(walked(lambda p: QHM(p, lr=0.1, momentum=0.95, nu=0.7, **numbers)), theirs)
    theirs = packaged(lambda p: qhoptim.QHAdam(p, lr=0.1, nus=(0.8, 0.7), **numbers))
    same(walked(lambda p: QHAdam(p, lr=0.1, nus=(0.8, 0.7), **numbers)), theirs)
    theirs = packaged(lambda p: qhoptim.QHAdam(p, lr=0.1, nus=(0.8, 1.0), decouple_weight_decay=True, **numbers))
    same(walked(lambda p: QHAdam(p, lr=0.1, nus=(0.8, 1.0), decoupled_weight_decay=True, **numbers)), theirs)


def test_qhm_with_nu_0_is_sgd_with_1_heavy_ball_and_with_beta_nesterov():
    plain, b, lr = {"lr": 0.01}, 0.9, 0.01 / (1 - 0.9)
    same(walked(lambda p: QHM(p, lr=0.01, momentum=b, nu=0.0)), walked(lambda p: SGD(p, **plain)))
    same(walked(lambda p: QHM(p, lr=lr, momentum=b, nu=1.0)), walked(lambda p: SGD(p, momentum=b, **plain)))
    nesterov = walked(lambda p: SGD(p, momentum=b, nesterov=True, **plain))
    same(walked(lambda p: QHM(p, lr=lr, momentum=b, nu=b)), nesterov)


def test_qhm_is_accelerated_sgd():
    """Two coupled sequences of short step delta and long step (arXiv 1803.05591, A11 of the sheets)."""
    delta, kappa, xi, c = 0.01, 100.0, 10.0, 0.7
    large, alpha = delta * kappa / c, 1 - c * c * xi / kappa
    beta = 1 - alpha
    zeta = c / (c + beta)

    def accelerated(x, g, t, s):
        buf = s.get("buf", x)
        s["buf"] = beta * ((1 / beta - 1) * buf - large * g + x)
        return zeta * (x - delta * g) + (1 - zeta) * s["buf"]

    lr, nu = delta * c * (1 + xi) / (1 + c), (c * xi - 1) / (c * (1 + xi))
    ours = walked(lambda p: QHM(p, lr=lr, momentum=(kappa - c * c * xi) / (kappa + c * xi), nu=nu))
    same(ours, looped(accelerated))


def test_qhm_is_the_synthesized_nesterov_family():
    """xi_{k+1} = xi_k + b1 (xi_k - xi_{k-1}) - a g(y_k),  y_k = xi_k + b2 (xi_k - xi_{k-1}); QHM moves y."""
    alpha, beta1, beta2 = 0.02, 0.8, 0.3

    def synthesized(y, g, t, s):
        xi, last = s.get("xi", y), s.get("last", y)
        new = xi + beta1 * (xi - last) - alpha * g
        s["last"], s["xi"] = xi, new
        return new + beta2 * (new - xi)

    numbers = {"lr": alpha / (1 - beta1), "momentum": beta1, "nu": 1 - (1 - beta1) / beta1 * beta2}
    same(walked(lambda p: QHM(p, **numbers)), looped(synthesized))


def test_qhm_is_a_pid_controller():
    """On the error -g: proportional, integral and smoothed derivative gains."""
    kp, ki, kd = -0.1, 1.0, 3.0
    beta = kd / (kd - kp)

    def pid(x, g, t, s):
        origin, e = s.setdefault("x0", x), -g
        s["v"] = beta * s.get("v", 0.0) + (1 - beta) * (e - s.get("e", 0.0))
        s["w"], s["e"] = s.get("w", 0.0) + e, e
        return origin + kp * e + ki * s["w"] + kd * s["v"]

    same(walked(lambda p: QHM(p, lr=ki, momentum=beta, nu=kp * kp / (ki * kd))), looped(pid))


def test_qhadam_with_nus_1_is_adam_and_nadam_with_nu_beta():
    same(walked(lambda p: QHAdam(p, **BETAS)), walked(lambda p: Adam(p, **BETAS)))
    ours = walked(lambda p: QHAdam(p, **BETAS, nus=(0.9, 1.0)))

    def nadam(x, g, t, s):
        m, v = ema(s, "m", g, 0.9) / (1 - 0.9**t), ema(s, "v", g * g, 0.99) / (1 - 0.99**t)
        return x - 0.01 * (0.1 * g + 0.9 * m) / (v.sqrt() + 1e-8)

    same(ours, looped(nadam))


# --- identities -------------------------------------------------------------------------------------------------------


def test_one_ball_is_heavy_ball_and_two_weighted_are_nesterov():
    same(walked(lambda p: AggMo(p, lr=0.01, betas=(0.9,))), walked(lambda p: SGD(p, lr=0.01, momentum=0.9)))

    def weighted(x, g, t, s, lr=0.01, mu=0.9):
        s["b"] = mu * s.get("b", 0.0) + g
        return x - lr * g - lr * mu * s["b"]

    same(walked(lambda p: SGD(p, lr=0.01, momentum=0.9, nesterov=True)), looped(weighted))


def test_ademamix_without_its_long_memory_is_adamw():
    same(
        walked(lambda p: AdEMAMix(p, lr=0.01, alpha=0.0, weight_decay=0.1)),
        walked(lambda p: AdamW(p, lr=0.01, weight_decay=0.1)),
    )


def test_grams_and_caution_are_adamw_where_all_signs_agree():
    def constant(build):
        p = Parameter(torch.ones(5, dtype=F64))
        opt = build([p])
        for n in range(9):
            p.grad = torch.arange(1.0, 6.0, dtype=F64) * (1 + 0.1 * n)
            opt.step()
        return [p.detach()]

    base = constant(lambda p: AdamW(p, lr=0.01))
    same(constant(lambda p: GramsAdamW(p, lr=0.01)), base)
    same(constant(lambda p: CautiousAdamW(p, lr=0.01)), base)
    same(constant(lambda p: CautiousLion(p, lr=0.01)), constant(lambda p: Lion(p, lr=0.01)))


@pytest.mark.parametrize("kind", (CautiousAdamW, GramsAdamW, MGUPAdamW))
def test_masks_go_with_a_momentum_that_chooses_itself(kind):
    opt = kind([Parameter(torch.ones(3000))], lr=0.01, betas=("auto", 0.999))
    for n in range(5):
        opt.param_groups[0]["params"][0].grad = torch.randn(3000, generator=torch.Generator().manual_seed(n))
        opt.step()
    assert opt.param_groups[0]["betas"][0] in (0.5, 0.9, 0.99)


def test_a_mask_of_the_gradient_itself_changes_nothing():
    rule = Rule(HeavyBall(0.0), Euclid(), Constant(), Decoupled(), after=Cautious())
    same(walked(lambda p: Descent(p, rule, lr=0.01)), walked(lambda p: SGD(p, lr=0.01)))
    rule = Rule(HeavyBall(0.0), Sign(), Constant(), Decoupled(), after=GradientSign())
    same(walked(lambda p: Descent(p, rule, lr=0.01)), walked(lambda p: Descent(p, replaced(rule), lr=0.01)))


def replaced(rule):
    return Rule(rule.filter, rule.metric, rule.step, rule.combine)


def test_the_draws_are_exponential_fair_and_a_function_of_seed_and_time():
    t = torch.arange(1.0, 1e5 + 1, dtype=F64)
    s = draw(0, t)
    assert abs(float(s.mean()) - 1) < 0.02 and abs(float(s.square().mean()) - 2) < 0.08 and float(s.min()) > 0
    assert torch.equal(s[99], draw(0, torch.tensor(100.0, dtype=F64)))
    near = torch.corrcoef(torch.stack([s[:-1], s[1:], draw(1, t)[1:], draw(1 << 40, t)[1:]])) - torch.eye(4)
    assert near.abs().max() < 0.02
    assert RandomScale(3).size(0.5, s, s, Memory({}), t[:1]) == 0.5 * draw(3, t[:1])


@pytest.mark.parametrize("build", (AdaMax, NAdam, RAdam, QHAdam, AdaBelief))
def test_candidates_where_nothing_chooses_are_refused(build):
    with pytest.raises(ValueError, match=r"Invalid beta.*nothing is chosen here"):
        build(start(), betas=((0.5, 0.9), 0.99))
    with pytest.raises(ValueError, match="belong to the whole optimizer"):
        build([{"params": start(), "delay": 1}])


# --- optimism, transport and memory of groups -------------------------------------------------------------------------


def predicted(history, ridge=1e-6):
    """sum c_i g_i with c from its optimality conditions: [G + ridge I, 1; 1, 0] [c; l] = [0; 1]."""
    xs = torch.stack(history).flatten(1)
    u = xs[1:] - xs[:-1]
    gram, k = u @ u.T, len(u)
    gram = gram + torch.eye(k, dtype=F64) * (ridge * gram.trace() if gram.trace() > 0 else 1.0)
    rim = torch.ones(k, 1, dtype=F64)
    full = torch.cat([torch.cat([gram, rim], 1), torch.cat([rim.T, torch.zeros(1, 1, dtype=F64)], 1)])
    c = torch.linalg.solve(full, torch.cat([torch.zeros(k, dtype=F64), torch.ones(1, dtype=F64)]))[:k]
    return (c @ xs[1:]).view_as(history[0])


def optimistic(w, g, t, s, lr=0.01, b1=0.9, b2=0.99):
    hidden, before = s.get("hidden", w), s.get("m", torch.zeros_like(g))
    m = ema(s, "m", g, b1)
    v = ema(s, "v", (g - s.get("p", torch.zeros_like(g))) ** 2, b2)
    s["peak"] = torch.maximum(s.get("peak", v), v)
    d = (s["peak"] / (1 - b2**t)).sqrt() + 1e-8
    s["hidden"] = hidden - lr * m / d
    s["gs"] = [*s.get("gs", [g] * 5)[1:], g]
    s["p"] = predicted(s["gs"])
    return s["hidden"] - lr * (b1 * before + (1 - b1) * s["p"]) / d


def test_opt_amsgrad_is_the_loop_of_the_sheet():
    same(walked(lambda p: OptAMSGrad(p, **BETAS)), looped(optimistic), 1e-9)


def test_constant_gradients_are_foreseen_and_no_surprise():
    p = Parameter(torch.ones(4, dtype=F64))
    opt = OptAMSGrad([p], betas=(0.9, 0.9))
    g = torch.arange(1.0, 5.0, dtype=F64)
    for _ in range(9):
        p.grad = g.clone()
        opt.step()
    state = opt.state[p]
    assert_close(state["after.next"], g)
    assert_close(state["after.metric.v"], 0.1 * 0.9**8 * g.square())  # all of it from the first gradient


def test_extrapolation_finds_the_limit_of_a_short_recurrence():
    """x_{n+1} = x* + A (x_n - x*) with A of rank 3: five gradients are enough."""
    source = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(10, 3, generator=source, dtype=F64)).Q
    limit, x = torch.randn(10, generator=source, dtype=F64), basis @ torch.ones(3, dtype=F64)
    xs = [limit + basis @ (torch.tensor([0.9, 0.5, -0.7], dtype=F64) ** n * (basis.T @ x)) for n in range(5)]
    assert_close(extrapolated(tuple(xs), 0.0), limit, rtol=1e-6, atol=1e-6)


def test_nigt_averages_gradients_of_where_it_is():
    """Where the gradient is linear, the average of those at y is the gradient at x."""
    source = torch.Generator().manual_seed(1)
    a = torch.randn(6, 6, generator=source, dtype=F64)
    a = a @ a.T / 6
    y = Parameter(torch.ones(6, dtype=F64))
    opt = NIGT([y], lr=0.05)
    x = y.detach().clone()
    for _ in range(12):
        y.grad = a @ y.detach()
        opt.step()
        assert_close(opt.state[y]["filter.b"], a @ x)
        step = a @ x
        assert_close(opt.state[y]["combine.x"], x - 0.05 * step / step.norm())
        x = opt.state[y]["combine.x"].clone()


def matrices_only(build, steps=8, shape=(6, 4)):
    p = Parameter(torch.ones(shape, dtype=F64))
    opt = build([p])
    for grads in noisy_descent(5, steps, (shape,)):
        p.grad = grads[0].clone()
        opt.step()
    return [p.detach()], opt.state[p]


@pytest.mark.parametrize("shape", ((6, 4), (4, 6)))
def test_subset_norm_is_the_loop_of_the_sheet(shape):
    ours, _ = matrices_only(lambda p: AdamWSN(p, lr=0.1, weight_decay=0.1, roles="by shape"), shape=shape)
    x, s, side = torch.ones(shape, dtype=F64), {}, int(shape[0] >= shape[1])
    for t, (g,) in enumerate(noisy_descent(5, 8, (shape,)), start=1):
        m, v = ema(s, "m", g, 0.9), ema(s, "v", (g * g).sum(side, keepdim=True), 0.999)
        x = x - 0.1 * (m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8) + 0.1 * x)
    same(ours, [x])


def test_groups_of_one_are_adam_and_one_group_is_adagrad_norm():
    ours, _ = matrices_only(lambda p: AdamWSN(p, lr=0.01, chunk=1, roles="by shape"))
    same(ours, matrices_only(lambda p: Adam(p, lr=0.01))[0])
    part, x = SubsetNorm(1.0, 0.0, chunk=24), torch.randn(6, 4, dtype=F64, generator=torch.Generator().manual_seed(2))
    mem = Memory(part.memory(x))
    for n in (1.0, 2.0):
        part.observe(x * n, mem, torch.tensor(n, dtype=F64))
    assert mem.v.shape == (1, 1)
    assert_close(part.direction(x, mem, torch.tensor(2.0, dtype=F64)), x / (x.norm() * 5**0.5))


def test_a_full_subspace_is_an_average_and_an_empty_one_none():
    whole, _ = matrices_only(lambda p: SNSM(p, lr=0.01, rank=4, every=1000, roles="by shape"))
    same(whole, matrices_only(lambda p: AdamWSN(p, lr=0.01, roles="by shape"))[0])
    none, _ = matrices_only(lambda p: SNSM(p, lr=0.01, rank=0, roles="by shape"))
    same(none, matrices_only(lambda p: AdamWSN(p, lr=0.01, momentum=0.0, roles="by shape"))[0])


@pytest.mark.parametrize("shape", ((6, 4), (4, 6)))
def test_momentum_lives_in_a_subspace_that_is_renewed(shape):
    ours, state = matrices_only(lambda p: SNSM(p, lr=0.1, rank=2, every=3, roles="by shape"), shape=shape)
    x, s, flip = torch.ones(shape, dtype=F64), {}, shape[0] > shape[1]
    for t, (g,) in enumerate(noisy_descent(5, 8, (shape,)), start=1):
        v = ema(s, "v", (g * g).sum(int(shape[0] >= shape[1]), keepdim=True), 0.999)
        w = g.T if flip else g
        if t % 3 == 1:
            p, s["m"], age = torch.linalg.svd(w).U[:, :2], torch.zeros(2, 6, dtype=F64), 0
        m, age = ema(s, "m", p.T @ w, 0.9), age + 1
        u = p @ m / (1 - 0.9**age) + w - p @ (p.T @ w)
        x = x - 0.1 * (u.T if flip else u) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    same(ours, [x], 1e-9)
    basis = state["filter.basis"]
    assert_close(basis.mT @ basis, torch.eye(2, dtype=F64))
