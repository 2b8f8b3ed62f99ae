"""Schedule-free optimizers, averages, slow weights and Mechanic against loops of their equations and official code."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import (
    AEGDW,
    ALRSMAG,
    SANIA,
    SGD,
    SGDHD,
    SOAP,
    SPS,
    Adam,
    AdamW,
    Averages,
    Descent,
    EscapeVelocity,
    Exponential,
    Identity,
    Lion,
    Lookahead,
    Macro,
    Mechanic,
    MoMo,
    Muon,
    NormalizedSGD,
    OuterScale,
    Polynomial,
    PrimalAverage,
    ProdigyStep,
    Rule,
    ScheduleFree,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    Scion,
    Sign,
    Steady,
    Transport,
    Uniform,
)
from fallline.core.memory import Memory
from kit import differences, feed, owned, stream, walk, weights

pytestmark = pytest.mark.usefixtures("interpreted")

STEPS = 18
BY_SHAPE = {"roles": "by shape"}


def doubles(*shapes):
    source = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(shape, generator=source, dtype=torch.float64)) for shape in shapes or ((4, 3), (5,))]


def bowl(p, n):
    """The gradient of a noisy quadratic at p."""
    noise = torch.randn(p.shape, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    curve = torch.linspace(0.2, 2.0, p.numel(), dtype=torch.float64).reshape(p.shape)
    return curve * p.detach().double() + 0.3 * noise


def run(opt, steps=STEPS):
    """Steps on the bowl; the weights before the first and after each."""
    seen = [[p.detach().clone() for p in owned(opt)]]
    for n in range(steps):
        feed(owned(opt), [bowl(p, n).to(p.dtype) for p in owned(opt)])
        opt.step()
        seen.append([p.detach().clone() for p in owned(opt)])
    return seen


def shown(opt):
    with opt.averaged():
        return [p.detach().clone() for p in owned(opt)]


# --- schedule-free ------------------------------------------------------------------------------------------------


def loop(p, adam, lr, b, b2=0.99, eps=1e-8, decay=0.0, warmup=0, r=0.0, power=2.0):
    """The sheet's five lines, three sequences: y and x after the last step."""
    z = x = p.detach().clone()
    v, total, peak = torch.zeros_like(z), 0.0, 0.0
    for k in range(STEPS):
        y = (1 - b) * z + b * x
        g = bowl(y, k)
        rate = lr * min(1.0, (k + 1) / warmup) if warmup else lr
        v = b2 * v + (1 - b2) * g**2
        d = g / ((v / (1 - b2 ** (k + 1))).sqrt() + eps) if adam else g
        z = z - rate * (d + decay * y)
        peak = max(peak, rate)
        w = (k + 1) ** r * peak**power
        total += w
        x = x + w / total * (z - x)
    return (1 - b) * z + b * x, x


NUMBERS = {
    "plain": {},
    "decay and warm-up": {"decay": 0.1, "warmup": 5, "r": 0.75},
    "AlgoPerf's": {"decay": 0.0812, "warmup": 2, "r": 0.75, "b2": 0.9955},
}


@pytest.mark.parametrize(("b", "foreach"), [(0.0, True), (0.9, True), (0.9, None), (1.0, True)])
@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("adam", [True, False])
def test_schedule_free_is_its_equations(adam, numbers, b, foreach):
    (p,) = params = doubles((4, 3))
    said = {"lr": 0.1, **{"b2": 0.99, "decay": 0.0, "warmup": 0, "r": 0.0, "power": 2.0}, **numbers}
    start, kind = p.detach().clone(), ScheduleFreeAdamW if adam else ScheduleFreeSGD
    opt = kind(
        params,
        lr=said["lr"],
        weight_decay=said["decay"],
        warmup_steps=said["warmup"],
        r=said["r"],
        weight_lr_power=said["power"],
        foreach=foreach,
        **({"betas": (b, said["b2"])} if adam else {"momentum": b}),
    )
    run(opt)
    y, x = loop(start, adam, b=b, **said)
    assert_close([p.detach(), *shown(opt)], [y, x], rtol=1e-10, atol=1e-10)


def official(kind, params, **numbers):
    module = pytest.importorskip("schedulefree")
    opt = getattr(module, kind)(params, foreach=False, **numbers)
    opt.train()
    return opt


@pytest.mark.parametrize("foreach", [True, pytest.param(None, marks=pytest.mark.native)])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-14), (torch.float32, 1e-6)])
def test_schedule_free_is_the_official_code_to_rounding(dtype, most, foreach):
    numbers = {"weight_decay": 0.1, "warmup_steps": 5, "r": 0.75}
    for ours, theirs, more in (
        (ScheduleFreeAdamW, "AdamWScheduleFree", {"lr": 0.02, "betas": (0.9, 0.99)}),
        (ScheduleFreeSGD, "SGDScheduleFree", {"lr": 0.3, "momentum": 0.8}),
    ):
        a, b = weights(dtype=dtype), weights(dtype=dtype)
        opt, other = ours(a, foreach=foreach, **numbers, **more), official(theirs, b, **numbers, **more)
        for now in stream(a, STEPS):
            walk(opt, [now])
            walk(other, [now])
            assert_close([p.detach() for p in a], [p.detach() for p in b], rtol=most, atol=most)
        other.eval()
        assert_close(shown(opt), [p.detach() for p in b], rtol=most, atol=most)


def test_our_defaults_are_the_official_ones():
    for ours, theirs in ((ScheduleFreeAdamW, "AdamWScheduleFree"), (ScheduleFreeSGD, "SGDScheduleFree")):
        a, b = ours(weights()).defaults, official(theirs, weights()).defaults
        same = {"lr", "betas", "momentum", "eps", "weight_decay", "warmup_steps", "r", "weight_lr_power"}
        assert {key: a[key] for key in same & b.keys()} == {key: b[key] for key in same & b.keys()}


def test_without_beta_it_is_sgd_with_its_mean_beside():
    """beta = 0: z is SGD, bit for bit, and x Polyak and Ruppert's mean."""
    a, b = doubles(), doubles()
    opt, plain = ScheduleFreeSGD(a, lr=0.1, momentum=0.0, foreach=True), SGD(b, lr=0.1, foreach=True)
    seen, like = run(opt), run(plain)
    assert not differences(seen, like)
    means = [torch.stack(each[1:]).mean(0) for each in zip(*like, strict=True)]
    assert_close(shown(opt), means, rtol=1e-12, atol=1e-12)


def test_with_beta_one_gradients_are_taken_at_the_average():
    opt = ScheduleFreeSGD(doubles(), lr=0.1, momentum=1.0)
    for n in range(5):
        assert_close(shown(opt), [p.detach() for p in owned(opt)], rtol=1e-13, atol=1e-13)
        feed(owned(opt), [bowl(p, n) for p in owned(opt)])
        opt.step()


def test_the_last_average_needs_no_horizon():
    """On |x| in any norm, lr 1 / sqrt(T) would need to know T; x at every T is nearly as good as its best."""
    p = Parameter(torch.tensor([1.1, -2.2], dtype=torch.float64))
    opt, last = ScheduleFreeSGD([p], lr=0.5), SGD([q := Parameter(p.detach().clone())], lr=0.5)
    errors = []
    for n in range(400):
        feed([p], [p.detach().sign()])
        opt.step()
        feed([q], [q.detach().sign()])
        last.step()
        if n in (50, 100, 200, 399):
            errors.append(float(shown(opt)[0].abs().sum()))
    assert errors[0] < 0.2 and errors[-1] < 0.05 < float(q.detach().abs().sum())


@pytest.mark.parametrize("b2", [0.9, 0.999])
def test_around_adam_without_momentum_it_is_the_named_one(b2):
    a, b = doubles(), doubles()
    around = ScheduleFree(AdamW(a, lr=0.1, betas=(0.0, b2), weight_decay=0.1), 0.8, r=0.5, warmup_steps=4)
    named = ScheduleFreeAdamW(b, lr=0.1, betas=(0.8, b2), weight_decay=0.1, r=0.5, warmup_steps=4)
    assert_close(run(around), run(named), rtol=1e-12, atol=1e-12)
    assert_close(shown(around), shown(named), rtol=1e-12, atol=1e-12)


def test_around_coupled_decay_is_a_loss_with_decay():
    a, b = doubles(), doubles()
    around = ScheduleFree(SGD(a, lr=0.1, weight_decay=0.2))
    named = ScheduleFreeSGD(b, lr=0.1, weight_decay=0.2)  # of SGD's metric, both decays are one
    assert_close(run(around), run(named), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "base",
    [
        lambda p: SGD(p, lr=0.05, momentum="auto"),
        lambda p: Lion(p, lr=0.01, weight_decay=0.1),
        lambda p: Muon(p, lr=0.02, **BY_SHAPE),
        lambda p: SOAP(p, lr=0.02, weight_decay=0.1, **BY_SHAPE),
        lambda p: Scion(p, lr=0.02, **BY_SHAPE),
        lambda p: Adam(p, lr=0.02, weight_decay=0.1),
    ],
    ids=["sgd-auto", "lion", "muon", "soap", "scion", "adam"],
)
def test_it_goes_around_any_optimizer_that_moves_by_adding(base):
    """z walks as the base would along the same gradients, and x is its weighed mean."""
    opt = ScheduleFree(base(doubles()), 0.9, weight_lr_power=0.0)
    like = base(doubles())
    zs = []
    for n in range(8):
        now = [bowl(p, n) for p in owned(opt)]
        undecayed = n == 0 or all(group.get("weight_decay", 0) == 0 for group in like.param_groups)
        feed(owned(opt), now)
        opt.step()
        feed(owned(like), now)
        like.step()
        if undecayed:
            assert_close([opt.state[p]["combine.z"] for p in owned(opt)], [p.detach() for p in owned(like)])
        zs.append([opt.state[p]["combine.z"].clone() for p in owned(opt)])
    assert_close(shown(opt), [torch.stack(each).mean(0) for each in zip(*zs, strict=True)], rtol=1e-10, atol=1e-10)


def test_it_knows_the_sizes_that_prodigy_finds():
    """w_n = (max d)^2: what was seen while d was tiny does not count."""
    (p,) = params = doubles((4, 3))
    rule = Rule(Identity(), Sign(), ProdigyStep(1e-3), PrimalAverage(0.9))
    opt = Descent(params, rule, lr=1.0)
    found, total, x = [], 0.0, p.detach().clone()
    for n in range(STEPS):
        feed(params, [bowl(p, n)])
        opt.step()
        found.append(float(opt.state[p]["step.now"]))
        total += max(found) ** 2
        x = x + max(found) ** 2 / total * (opt.state[p]["combine.z"] - x)
    assert found[-1] > 10 * found[0]
    assert_close(shown(opt), [x], rtol=1e-10, atol=1e-10)


def test_what_cannot_be_averaged_is_refused():
    with pytest.raises(ValueError, match=r"takes gradients at an average"):
        ScheduleFree(Macro(doubles(), **BY_SHAPE))
    with pytest.raises(ValueError, match=r"Warmup cannot hold back"):
        rule = Rule(Identity(), Sign(), EscapeVelocity(), PrimalAverage().combine)
        ScheduleFree(Descent(doubles(), rule), warmup_steps=3)
    with pytest.raises(TypeError, match=r"wraps an optimizer of Fallline"):
        ScheduleFree(torch.optim.SGD(doubles()))


# --- beside -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base",
    [
        lambda p: AdamW(p, lr=0.05),
        lambda p: SGD(p, lr=0.05, momentum="auto", bank="full"),
        lambda p: Muon(p, lr=0.02, **BY_SHAPE),
        lambda p: Macro(p, lr=0.02, **BY_SHAPE),
    ],
    ids=["adamw", "sgd-auto", "muon", "macro"],
)
@pytest.mark.parametrize("weights", [Uniform(), Polynomial(8), Exponential(0.8)], ids=str)
def test_averages_do_not_touch_the_training(base, weights):
    opt, like = Averages(base(doubles()), weights), base(doubles())
    seen, same = run(opt), run(like)
    assert_close(seen, same, rtol=1e-12, atol=1e-12)
    x = seen[0]
    for n, now in enumerate(seen[1:], 1):
        c = float(weights.share(0.1, None, torch.tensor(float(n), dtype=torch.float64)))
        x = [a + c * (z - a) for a, z in zip(x, now, strict=True)]
    assert_close(shown(opt), x, rtol=1e-11, atol=1e-11)


def test_the_polynomial_average_is_the_official_one():
    module = pytest.importorskip("dog")
    model = nn.Linear(3, 2).double()
    opt = Averages(SGD(model.parameters(), lr=0.05), Polynomial(8))
    like = module.PolynomialDecayAverager(model, gamma=8)
    for n in range(STEPS):
        feed(owned(opt), [bowl(p, n) for p in owned(opt)])
        opt.step()
        like.step()
    assert_close(shown(opt), [p.detach() for p in like.averaged_model.parameters()], rtol=1e-12, atol=1e-12)


def test_the_uniform_average_is_torch_swa():
    model = nn.Linear(3, 2).double()
    opt, swa = Averages(SGD(model.parameters(), lr=0.05), Uniform()), torch.optim.swa_utils.AveragedModel(model)
    for n in range(STEPS):
        feed(owned(opt), [bowl(p, n) for p in owned(opt)])
        opt.step()
        swa.update_parameters(model)
    assert_close(shown(opt), [p.detach() for p in swa.module.parameters()], rtol=1e-12, atol=1e-12)


# --- Lookahead ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("foreach", [True, pytest.param(None, marks=pytest.mark.native)])
def test_lookahead_is_its_equations(foreach):
    (p,) = doubles((4, 3))
    (q,) = doubles((4, 3))
    opt = Lookahead(AdamW([{"params": [p], "foreach": foreach}], lr=0.05), 5, 0.4)
    fast = torch.optim.AdamW([q], lr=0.05)
    slow = q.detach().clone()
    for n in range(1, STEPS):
        for one, w in ((opt, p), (fast, q)):
            feed([w], [bowl(w, n)])
            one.step()
        if n % 5 == 0:
            slow = slow + 0.4 * (q.detach() - slow)
            q.data.copy_(slow)
        assert_close([p.detach(), *shown(opt)], [q.detach(), slow], rtol=1e-10, atol=1e-10)


def test_lookahead_that_goes_all_the_way_is_the_base():
    opt, like = Lookahead(Lion(doubles(), lr=0.01), 3, 1.0), Lion(doubles(), lr=0.01)
    assert_close(run(opt), run(like), rtol=1e-13, atol=1e-13)


# --- Mechanic -----------------------------------------------------------------------------------------------------

BETAS = (0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)


def outer(ps, us, start=1e-3, decay=0.01, eps=1e-8, m0=0.0):
    """The sheet's loop around given base steps us(n, ps): the weights and the scale after each step."""
    b = torch.tensor(BETAS, dtype=torch.float64)
    s, m, v, r = (
        torch.zeros(6).double(),
        torch.full((6,), m0).double(),
        torch.zeros(6).double(),
        torch.zeros(6).double(),
    )
    ref, x = [p.detach().clone() for p in ps], [p.detach().clone() for p in ps]
    total = [torch.zeros_like(p) for p in x]
    for n in range(STEPS):
        gs = [bowl(p, n) for p in x]
        g, w = (torch.cat([a.reshape(-1) for a in each]) for each in (gs, x))
        d = torch.cat([a.reshape(-1) for a in total])
        h = d @ (g + decay * s.sum() * g.norm() * w / w.norm())
        u = us(gs, x)
        m, v = torch.maximum(b * m, h.abs()), b**2 * v + h**2
        r = (b * r - s * h).clamp(min=0)
        s = (start * m / 6 + r) / (v.sqrt() + eps)
        total = [a + c for a, c in zip(total, u, strict=True)]
        x = [a + s.sum() * c for a, c in zip(ref, total, strict=True)]
        yield [a.clone() for a in x], float(s.sum())


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_mechanic_is_its_equations(decay):
    params = doubles()
    opt = Mechanic(AdamW(params, lr=1.0, betas=(0.0, 0.0), eps=1e-300, weight_decay=decay), s_init=1e-3)
    found = list(outer(params, lambda gs, xs: [-(g.sign() + decay * x) for g, x in zip(gs, xs, strict=True)]))
    for n, (x, s) in enumerate(found):
        feed(params, [bowl(p, n) for p in params])
        opt.step()
        assert_close([p.detach() for p in params], x, rtol=1e-10, atol=1e-10)
        opt.report()
        assert opt.param_groups[0]["effective_lr"] == pytest.approx(s, rel=1e-9)
    assert found[-1][1] > 10 * found[2][1]  # it has found something


def test_mechanic_is_the_official_code_where_that_has_no_decay(monkeypatch):
    """The official decay takes the weights after the base's step; its m starts at 1e-6, which is set to 0 here."""
    module = pytest.importorskip("mechanic_pytorch")
    a, b = doubles(), doubles()
    opt = Mechanic(SGD(a, lr=0.1), s_init=1e-2, s_decay=0.0)
    other = module.mechanize(torch.optim.SGD, s_decay=0.0, s_init=1e-2, store_delta=True)(b, lr=0.1)
    for n in range(STEPS):
        for one, params in ((opt, a), (other, b)):
            feed(params, [bowl(p, n) for p in params])
            if one is other and n == 0:
                with monkeypatch.context() as patch:
                    patch.setattr(torch, "full", lambda shape, _: torch.zeros(shape))
                    one.step()
            else:
                one.step()
        assert_close([p.detach() for p in a], [p.detach() for p in b], rtol=1e-5, atol=1e-6)  # its bets are float32


def test_mechanic_whose_scale_is_one_is_the_base(monkeypatch):
    monkeypatch.setattr(OuterScale, "decide", lambda self, measured, mem: mem.s.fill_(1 / 6))
    opt = Mechanic(AdamW(doubles(), lr=0.05), eps=2e-8)  # a part of its own: how parts decide is compiled once
    like = AdamW(doubles(), lr=0.05)
    assert_close(run(opt), run(like), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_mechanic_hardly_minds_the_base_lr():
    """A noisy quadratic, base lr over six powers of ten."""
    losses, start = [], doubles((20,))[0].detach()
    for lr in (1e-3, 1.0, 1e3):
        (p,) = doubles((20,))
        opt = Mechanic(SGD([p], lr=lr))
        for n in range(400):
            feed([p], [bowl(p, n)])
            opt.step()
        losses.append(float((bowl(p, 0) * p.detach()).sum()))
    assert max(losses) < 0.1 * float((bowl(start, 0) * start).sum())


def test_one_scale_for_all_roles():
    opt = Mechanic(Muon(doubles(), lr=1.0, **BY_SHAPE), s_init=1e-2)
    run(opt)
    a, b = (opt.state[p]["combine.s"] for p in owned(opt))
    assert a is b and float(a.sum()) > 0


# --- what the inner combine does ------------------------------------------------------------------------------------


@pytest.mark.parametrize("around", [Averages, Lookahead, partial(ScheduleFree, beta=0), ScheduleFree])
def test_decay_by_lr_goes_on_inside(around):
    """Where x and y start together, one step is the base's; decay that goes by lr is a part of it."""
    begin = weights(((3, 2),), torch.float64)[0]
    ends = []
    for wrap in (lambda base: base, around):
        w = Parameter(begin.detach().clone())
        opt = wrap(AEGDW([w], lr=0.1, weight_decay=2.0, state_dtype=torch.float64))
        w.grad = torch.zeros_like(w)
        opt.step(loss=1.0)
        ends.append(w.detach())
    assert_close(ends[0], begin.detach() * 0.8)
    assert_close(ends[1], ends[0])


def test_decay_by_lr_leaves_the_average_where_it_is():
    """PrimalAverage keeps y = (1 - b) z + b x, and fade moves z alone."""
    part, y = PrimalAverage(0.9, combine=Steady(2.0)), torch.tensor([1.0], dtype=torch.float64)
    mem, t = Memory(part.memory(y)), torch.tensor(1.0, dtype=torch.float64)
    part.fade(y, 0.1, mem, t)
    assert_close(mem.z, torch.tensor([0.8], dtype=torch.float64))
    assert_close(part.settled(y, mem, t), torch.tensor([1.0], dtype=torch.float64))


def test_mechanic_scales_decay_by_lr_too():
    part, w = OuterScale(combine=Steady(2.0)), torch.tensor([1.0], dtype=torch.float64)
    mem = Memory({**part.memory(w), **part.decisions(torch.device("cpu"))})
    mem.s.fill_(0.5 / len(mem.s))
    t = torch.tensor(1.0, dtype=torch.float64)
    part.fade(w, 0.1, mem, t)
    part.enter(w, torch.tensor([-0.1], dtype=torch.float64), 0.1, mem, t)
    assert_close(w, torch.tensor([1 - 0.5 * 0.3], dtype=torch.float64))


@pytest.mark.parametrize("base", [SPS, MoMo, ALRSMAG, SANIA, NormalizedSGD, SGDHD], ids=lambda x: x.__name__)
def test_averages_go_around_steps_that_measure_what_the_metric_is_asked(base):
    begin = weights(((3, 2),), torch.float64)[0]
    ends = []
    for wrap in (lambda one: one, Averages):
        w = Parameter(begin.detach().clone())
        opt = wrap(base([w]))
        for _ in range(3):
            opt.zero_grad()
            loss = w.square().sum()
            loss.backward()
            opt.step(loss=loss)
        ends.append(w.detach())
    assert torch.equal(*ends)


def test_transport_refuses_decay_that_it_would_not_take_along():
    with pytest.raises(ValueError, match="decay goes by the step"):
        Transport(0.9, Steady(0.1))
