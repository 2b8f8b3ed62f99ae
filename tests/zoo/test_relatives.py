"""Muon's relatives against loops written from their papers' equations, and the identities that say what they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.testing import assert_close

import fallline
from fallline import (
    EGD,
    NAMO,
    NAMOD,
    REG,
    ROOT,
    SVD,
    AdaGO,
    AdaGradNorm,
    AdaMuon,
    AuON,
    Clamp,
    Fitted,
    Muon,
    MuonEq,
    NewtonSchulz,
    NormRatio,
    NorMuon,
    OLion,
    PolarAdamW,
    PolarGrad,
    RowColScale,
    RowMoment,
    Spectral,
    Through,
    TurboMuon,
)
from fallline.core.memory import Memory
from fallline.metrics import Keller, MatchRMS, Schatten
from fallline.metrics.polar import AOL
from fallline.zoo.routed import BY_SHAPE

SHAPES = ((12, 5), (5, 12), (4, 2, 3, 1))
LR, WD = 0.02, 0.1


def ns5(x: Tensor) -> Tensor:
    """Keller's five steps, as in the sheet."""
    y = x.T if x.shape[0] > x.shape[1] else x
    y = y / y.norm()
    for _ in range(5):
        gram = y @ y.T
        y = 3.4445 * y + (-4.7750 * gram + 2.0315 * gram @ gram) @ y
    return y.T if x.shape[0] > x.shape[1] else y


def exact(x: Tensor) -> Tensor:
    u, _, vt = torch.linalg.svd(x, full_matrices=False)
    return u @ vt


def rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()


def match(x: Tensor) -> float:
    return 0.2 * max(x.shape) ** 0.5


def keller(x: Tensor) -> float:
    return max(1.0, x.shape[0] / x.shape[1]) ** 0.5


class Averages:
    """m <- b m + (1 - b) g, look ahead (1 - b) g + b m; h <- b h + g, look ahead g + b h."""

    def __init__(self, b: float):
        self.b, self.m, self.h = b, 0.0, 0.0

    def __call__(self, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.m = self.b * self.m + (1 - self.b) * g
        self.h = self.b * self.h + g
        return self.m, (1 - self.b) * g + self.b * self.m, g + self.b * self.h


def normuon(w, grads):
    past, v = Averages(0.95), 0.0
    for g in grads:
        o = ns5(past(g)[1])
        v = 0.95 * v + 0.05 * o.square().mean(1, keepdim=True)
        d = o / (v.sqrt() + 1e-10)
        w = (1 - LR * WD) * w - LR * keller(g) * d * o.norm() / d.norm()
    return w


def normuon_paper(w, grads):
    past, v = Averages(0.95), 0.0
    for g in grads:
        o = ns5(past(g)[1])
        v = 0.95 * v + 0.05 * o.square().mean(1, keepdim=True)
        d = o / (v.sqrt() + 1e-10)
        w = (1 - LR * WD) * w - LR * 0.2 * d / rms(d)
    return w


def adamuon(w, grads):
    past, v = Averages(0.95), 0.0
    for g in grads:
        o = ns5(past(g)[1].sign())
        v = 0.95 * v + 0.05 * o * o
        d = o / (v.sqrt() + 1e-8)
        w = (1 - LR * WD) * w - LR * 0.2 * g.numel() ** 0.5 * d / d.norm()
    return w


def adago(w, grads):
    past, v2 = Averages(0.95), 1e-12
    for g in grads:
        size = min(float(g.norm()), 8.0)
        v2 += size**2
        a = max(0.01 * LR, LR * size / v2**0.5)
        w = (1 - a * WD) * w - a * keller(g) * ns5(past(g)[0])
    return w


def namo(w, grads):
    past, v = Averages(0.95), 0.0
    for n, g in enumerate(grads, 1):
        u = past(g)[1]
        v = 0.99 * v + 0.01 * g.square().sum()
        a = min(1.0, LR * (1 - 0.99**n) ** 0.5 / (1 - 0.95**n) * u.norm() / (v**0.5 + 1e-8))
        w = (1 - a * WD) * w - a * match(g) * ns5(u)
    return w


def namo_d(w, grads):
    past, v = Averages(0.95), 0.0
    for n, g in enumerate(grads, 1):
        u = past(g)[1]
        v = 0.99 * v + 0.01 * g.square().sum(0)
        c = u.norm(dim=0) / (v.sqrt() + 1e-8)
        c = c.clamp(0.75 * c.mean(), c.mean() / 0.75)
        a = LR * (1 - 0.99**n) ** 0.5 / (1 - 0.95**n) * c
        w = w * (1 - a * WD) - a * match(g) * ns5(u)
    return w


def muoneq(order):
    def loop(w, grads):
        past = Averages(0.9)
        for g in grads:
            u = past(g)[2]
            rows, columns = ((u * u).sum(i, keepdim=True).add(1e-8) ** -0.5 for i in (1, 0))
            x = {"rows": rows * u, "columns": columns * u, "together": rows * columns * u}[order]
            w = (1 - LR * WD) * w - LR * match(g) * ns5(x)
        return w

    return loop


def reg(w, grads):
    past = Averages(0.95)
    for g in grads:
        m = past(g)[0]
        d = m / m.norm(dim=1, keepdim=True) ** 0.5 / m.norm(dim=0, keepdim=True) ** 0.5
        w = (1 - LR * WD) * w - LR * 0.2 * d / rms(d)
    return w


def root(w, grads):
    past = Averages(0.95)
    for g in grads:
        u = past(g)[2]
        e = torch.quantile(u.abs(), 0.9) + 1e-9
        w = (1 - LR * WD) * w - LR * match(g) * ns5(u - u.sign() * (u.abs() - e).clamp_min(0))
    return w


def auon(direct):
    def loop(w, grads):
        past = Averages(0.95)
        for g in grads:
            d = direct(past(g)[1])
            r = (1.5 * d / d.norm()).cosh().square().mean().sqrt()
            w = (1 - LR * WD) * w - LR * d / (r + 1e-8)
        return w

    return loop


def egd(w, grads):
    for g in grads:
        w = (1 - LR * WD) * w - LR * exact(g)
    return w


def polar_adamw(w, grads):
    m, v = 0.0, 0.0
    for n, g in enumerate(grads, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        d = m / (1 - 0.9**n) / ((v / (1 - 0.999**n)) ** 0.5 + 1e-8)
        w = (1 - LR * WD) * w - LR * match(g) * ns5(d)
    return w


def olion(w, grads):
    past = Averages(0.95)
    for g in grads:
        w = (1 - LR * WD) * w - LR * 0.2 * ns5(past(g)[1]).sign()
    return w


def turbo(w, grads):
    past = Averages(0.95)
    for g in grads:
        u = past(g)[1]
        y = almost(u if g.shape[0] <= g.shape[1] else u.T)
        for a, b, c in (
            (4.6051, -9.6552, 5.6769),
            (4.7505, -6.0861, 2.1790),
            (2.7763, -2.3190, 0.5523),
            (2.4231, -2.2861, 0.8193),
        ):
            gram = y @ y.T
            y = a * y + (b * gram + c * gram @ gram) @ y
        w = (1 - LR * WD) * w - LR * match(g) * (y if g.shape[0] <= g.shape[1] else y.T)
    return w


def polargrad(w, grads):
    past = Averages(0.95)
    for g in grads:
        m = past(g)[0]
        w = (1 - LR * WD) * w - LR * torch.linalg.matrix_norm(m, "nuc") * exact(m)
    return w


LOOPS = {
    "normuon": (NorMuon, {}, normuon),
    "normuon, paper": (NorMuon, {"shape": "exact"}, normuon_paper),
    "adamuon": (AdaMuon, {}, adamuon),
    "adago": (AdaGO, {"gamma": 8.0}, adago),
    "namo": (NAMO, {}, namo),
    "namo-d": (NAMOD, {}, namo_d),
    "muoneq, rows": (MuonEq, {}, muoneq("rows")),
    "muoneq, columns": (MuonEq, {"order": "columns"}, muoneq("columns")),
    "muoneq, both": (MuonEq, {"order": "together"}, muoneq("together")),
    "reg": (REG, {}, reg),
    "root": (ROOT, {}, root),
    "auon": (AuON, {}, auon(lambda u: u)),
    "auon, hybrid": (AuON, {"metric": Spectral(NewtonSchulz())}, auon(ns5)),
    "egd": (EGD, {}, egd),
    "polar-adamw": (PolarAdamW, {}, polar_adamw),
    "olion": (OLion, {}, olion),
    "turbo-muon": (TurboMuon, {}, turbo),
    "polargrad": (PolarGrad, {}, polargrad),
}


def noise(shape, steps=18, seed=0, common=0.5):
    """Gradients around a common one."""
    source = torch.Generator().manual_seed(seed)
    mean = common * torch.randn(shape, generator=source, dtype=torch.float64)
    return [mean + torch.randn(shape, generator=source, dtype=torch.float64) for _ in range(steps)]


def walked(build, start: Tensor, grads, lr=LR, **how) -> Tensor:
    """Where an optimizer leads one weight."""
    p = Parameter(start.clone())
    opt = build([p], lr=lr, roles=BY_SHAPE, **how)
    for g in grads:
        p.grad = g.clone()
        opt.step()
    return p.detach()


def direction(build, grads, **how) -> Tensor:
    """The last step of an optimizer, uphill and per unit of lr."""
    start = torch.zeros_like(grads[0])
    how = {"weight_decay": 0.0, "lr": 1.0} | how
    before = walked(build, start, grads[:-1], **how) if len(grads) > 1 else start
    return before - walked(build, start, grads, **how)


def cosine(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum() / a.norm() / b.norm())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LOOPS)
def test_loop(name, shape):
    build, how, loop = LOOPS[name]
    start, grads = torch.randn(shape, dtype=torch.float64), noise(shape)
    wanted = loop(start.flatten(1), [g.flatten(1) for g in grads])
    found = walked(build, start, grads, weight_decay=WD, **how)
    assert_close(found.flatten(1), wanted, rtol=1e-10, atol=1e-10)


# --- Muon (c) -----------------------------------------------------------------------------------------------------


def test_muon_without_momentum_and_with_an_exact_polar_factor():
    """T-c.1, and T-m.1: EGD is that without shape factor."""
    g = noise((7, 4), 1)
    bare = direction(Muon, g, momentum=0.0, nesterov=False, polar=SVD(), shape="keller")
    assert_close(bare, (7 / 4) ** 0.5 * exact(g[0]))
    assert_close(direction(EGD, g), exact(g[0]))
    wide = noise((4, 7), 5)
    assert_close(
        walked(EGD, torch.zeros(4, 7).double(), wide),
        walked(Muon, torch.zeros(4, 7).double(), wide, momentum=0.0, polar=SVD(), shape="keller", weight_decay=0.0),
    )


def test_an_average_and_a_heavy_ball_have_the_same_direction():
    """T-c.2, T-n.1: MuonEq without its scaling is Muon, which keeps an average."""
    grads, start = noise((6, 9)), torch.zeros(6, 9).double()

    class Bare(MuonEq):
        def matrix(self, group):
            return replace(MuonEq.matrix(self, group), before=None)

    assert_close(walked(Bare, start, grads), walked(Muon, start, grads, momentum=0.9, polar=NewtonSchulz()))


def test_matched_updates_are_of_adamws_size():
    """T-c.4: .2 times what Newton-Schulz makes of singular values, .7 to 1.13."""
    for shape in ((16, 16), (8, 64), (64, 8)):
        assert 0.7 * 0.2 < rms(direction(Muon, noise(shape, 1), polar=NewtonSchulz())) < 1.13 * 0.2


# --- AdaGO and NAMO (d) -------------------------------------------------------------------------------------------


def sizes(step, grads, us=None, lr=LR):
    """The lengths that a step rule finds for a stream of gradients."""
    mem, found = Memory(step.memory(grads[0])), []
    for n, g in enumerate(grads, 1):
        t = torch.tensor(float(n), dtype=torch.float64)
        step.observe(0.1, g, mem, t)
        u = g if us is None else us[n - 1]
        found.append(step.size(lr, u, u, mem, t).flatten())
    return torch.stack(found).squeeze(1)


def test_equal_norms_make_adago_slow_down_like_a_root():
    """T-d.1, down to the floor."""
    grads = [g / g.norm() * 3 for g in noise((4, 5), 30)]
    n = torch.arange(1.0, 31.0, dtype=torch.float64)
    assert_close(sizes(AdaGradNorm(floor=0.0), grads), LR / n.sqrt())
    assert_close(sizes(AdaGradNorm(floor=0.25), grads), LR * (1 / n.sqrt()).clamp_min(0.25))


def test_a_low_gamma_makes_all_norms_equal():
    """T-d.4."""
    n = torch.arange(1.0, 31.0, dtype=torch.float64)
    assert_close(sizes(AdaGradNorm(gamma=1e-3, floor=0.0), noise((4, 5), 30)), LR / n.sqrt(), rtol=1e-5, atol=0)


def test_namo_of_equal_gradients_is_muon():
    """T-d.2: exactly without the look ahead; with it the multiplier begins at 1.95 and falls to 1."""
    grads, start = noise((6, 4), 1) * 29, torch.randn(6, 4, dtype=torch.float64)
    how = {"nesterov": False, "weight_decay": WD, "polar": SVD()}
    assert_close(walked(NAMO, start, grads, **how), walked(Muon, start, grads, **how), rtol=1e-6, atol=1e-8)
    past = Averages(0.95)
    multiplier = sizes(NormRatio(0.95), grads, [past(g)[1] for g in grads]) / LR
    assert multiplier[:2].tolist() == pytest.approx([1.95, 1.46], abs=0.01)
    assert multiplier[28] == pytest.approx(1.01, abs=0.01)


def test_namo_of_noise_takes_smaller_steps():
    """T-d.3: sqrt((1 - mu) / (1 + mu)) lr without the look ahead."""
    grads = [g / g.norm() for g in noise((30, 30), 300, common=0.0)]
    past = Averages(0.95)
    found = sizes(NormRatio(0.95), grads, [past(g)[0] for g in grads])[100:].mean() / LR
    assert found == pytest.approx((0.05 / 1.95) ** 0.5, rel=0.02)


def test_columns_that_must_all_be_alike_move_together():
    """NAMO-D with near = 1 gives every column the mean, and with one column it is NAMO."""
    one = {"weight_decay": WD, "polar": SVD()}
    start, grads = torch.randn(6, 1, dtype=torch.float64), noise((6, 1))
    assert_close(walked(NAMOD, start, grads, near=1.0, **one), walked(NAMO, start, grads, **one))


def test_steps_of_matrices_and_columns_are_spread_over_stacks():
    """A grouped weight moves as its matrices would alone, decay included."""
    for build in (AdaGO, NAMO, NAMOD, NorMuon, AdaMuon):
        start, grads = torch.randn(6, 4, dtype=torch.float64), noise((6, 4), 6)
        p = Parameter(start.clone())
        opt = build([{"params": [p], "roles": "attention groups=3"}], lr=LR, weight_decay=WD)
        for g in grads:
            p.grad = g
            opt.step()
        rows = [slice(i, i + 2) for i in (0, 2, 4)]
        alone = [walked(build, start[at], [g[at] for g in grads], weight_decay=WD) for at in rows]
        assert_close(p.detach(), torch.cat(alone))


@pytest.mark.parametrize("wrong", [lambda: AdaGradNorm(gamma=0.0), lambda: NormRatio(1.0), lambda: NormRatio(0.9, 1.0)])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="Invalid"):
        wrong()


def test_namo_has_one_momentum():
    with pytest.raises(ValueError, match="one momentum"):
        NAMO([Parameter(torch.ones(3, 2))], momentum="auto", roles=BY_SHAPE)


# --- AuON (e) -----------------------------------------------------------------------------------------------------


def test_auon_is_momentum_sgd_and_its_hybrid_muon():
    """T-e.1 and T-e.2: no-ops in disguise, to 1e-3 for 4096 entries."""
    grads = noise((64, 64), 3)
    past = Averages(0.95)
    u = [past(g)[1] for g in grads][-1]
    assert (direction(AuON, grads) / u - 1).abs().max() < 1e-3
    paper = direction(AuON, [g[:, :48] for g in grads], metric=Keller(Schatten(2.0)))
    part = u[:, :48]
    assert (paper / (part * keller(part) / part.norm()) - 1).abs().max() < 1e-3
    hybrid = direction(AuON, grads, metric=Spectral(NewtonSchulz()))
    assert_close(hybrid, ns5(u), rtol=1e-3, atol=1e-3)
    assert cosine(hybrid, ns5(u)) > 1 - 1e-12


# --- Turbo-Muon (f) -----------------------------------------------------------------------------------------------


def almost(x: Tensor) -> Tensor:
    """diag(s) X with s_i = (sum_j |A_ij|)^(-1/2), A = X X^T."""
    return x / (x @ x.T).abs().sum(1, keepdim=True).sqrt()


def test_the_almost_orthogonal_start_changes_the_target():
    """T-f.2: the limit is the polar factor of the scaled matrix, near that of the matrix only if rows are alike."""
    x = noise((64, 128), 1, common=0.0)[0]
    spread = torch.logspace(0, -2, 64, dtype=torch.float64)[:, None] * x
    many = NewtonSchulz("cubic", start=AOL(), steps=60)
    for one, near in ((x, 0.999), (spread, 0.99)):
        found = direction(TurboMuon, [one], momentum=0.0, polar=many, shape="none")
        assert_close(found, exact(almost(one)), rtol=1e-6, atol=1e-6)
        assert near < cosine(found, exact(one)) < near + 0.009


def test_turbo_muon_turns_with_the_inputs_only():
    """T-f.3: the rows' scale depends on the basis of the outputs."""
    x = torch.logspace(0, -4, 5, dtype=torch.float64)[:, None] * noise((5, 9), 1)[0]
    q, p = exact(noise((9, 9), 1, seed=1)[0]), exact(noise((5, 5), 1, seed=2)[0])
    moved = direction(TurboMuon, [x])
    assert_close(direction(TurboMuon, [x @ q]), moved @ q)
    assert (direction(TurboMuon, [p @ x]) - p @ moved).abs().max() > 0.1


def test_equilibrated_rows_and_the_almost_orthogonal_start_differ_by_a_diagonal():
    """T-n.4: one number per row, and none where rows are orthogonal."""
    lengths = torch.logspace(0, -2, 6, dtype=torch.float64)[:, None]
    x, y, t = lengths * exact(noise((6, 9), 1)[0]), noise((6, 9), 1)[0], torch.tensor(1.0)
    assert_close(RowColScale("rows")(x, Memory({}), t), almost(x))
    ratio = RowColScale("rows")(y, Memory({}), t) / almost(y)
    assert_close(ratio, ratio[:, :1].expand(6, 9))


# --- ROOT (g) -----------------------------------------------------------------------------------------------------


def test_root_that_keeps_every_entry_is_muon():
    """T-g.1, with Keller's triple for shapes that have none of their own."""
    grads, start = noise((6, 9)), torch.zeros(6, 9).double()
    assert_close(
        walked(ROOT, start, grads, quantile=1.0), walked(Muon, start, grads, polar=NewtonSchulz()), rtol=1e-7, atol=1e-9
    )


def test_outliers_do_not_turn_root():
    """T-g.3: one entry a million times as large; Newton-Schulz loses all the rest, the exact factor less."""
    g = noise((64, 64), 1, common=0.0)
    hurt = [g[0].clone()]
    hurt[0][3, 5] *= 1e6

    def seen(build, **how):
        return cosine(direction(build, g, **how), direction(build, hurt, **how))

    assert seen(ROOT, polar=SVD()) > 0.998
    assert seen(Muon, polar=SVD()) < 0.98
    assert seen(Muon, polar=NewtonSchulz()) < 0.3


def test_root_does_not_know_the_scale_of_the_loss():
    """T-g.4."""
    grads = noise((8, 6), 5)
    assert_close(direction(ROOT, grads), direction(ROOT, [1e4 * g for g in grads]), rtol=1e-5, atol=1e-7)


def test_fitted_coefficients_serve_their_shapes_only():
    x = torch.randn(4, 6, dtype=torch.float64)
    own = (3.0, -3.2, 1.2)
    assert_close(Fitted()(x), ns5(x))
    for y in (x, x.T):
        assert_close(Fitted(5, (((4, 6), own),))(y), NewtonSchulz((own,) * 5)(y))


# --- NorMuon (i), AdaMuon (j), OLion ------------------------------------------------------------------------------


def test_normuon_of_wide_matrices_is_muon():
    """T-i.2: rows of a wide exact polar factor are unit vectors; a tall one's are not."""
    how = {"polar": SVD(), "shape": "keller"}
    for shape, same in (((4, 9), True), ((6, 6), True), ((9, 4), False)):
        grads = noise(shape, 5)
        far = (direction(NorMuon, grads, **how) - direction(Muon, grads, **how)).abs().max()
        assert bool(far < 1e-8) is same


def test_normuon_is_as_long_as_muon():
    """T-i.3."""
    grads = noise((9, 4), 5)
    how = {"polar": NewtonSchulz(), "shape": "keller"}
    assert_close(direction(NorMuon, grads, **how).norm(), direction(Muon, grads, **how).norm())


def test_adamuon_without_memory_is_olion_of_signs():
    """T-j.1, T-j.2, T-j.3: .2 sgn(O); size .2 exactly; the first step does not know b."""
    grads = noise((6, 5), 6)
    forgetful = direction(AdaMuon, grads, momentum=0.0, beta2=0.0)
    assert_close(forgetful, 0.2 * ns5(grads[-1].sign()).sign(), rtol=1e-5, atol=1e-6)
    assert_close(forgetful, direction(OLion, [g.sign() for g in grads], momentum=0.0), rtol=1e-5, atol=1e-6)
    assert_close(rms(direction(AdaMuon, grads)), torch.tensor(0.2).double())
    first = [direction(AdaMuon, grads[:1], momentum=b) for b in (0.0, 0.5, 0.95)]
    assert_close(first[0], first[2], rtol=1e-5, atol=1e-6)
    assert_close(first[1], first[2], rtol=1e-5, atol=1e-6)


# --- MuonEq (n), PolarAdamW (q) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_muoneq_forgets_one_sides_scale(order):
    """T-n.2."""
    grads = noise((6, 8), 4)
    side = (6, 1) if order == "rows" else (1, 8)
    factor = torch.rand(side, dtype=torch.float64) + 0.5
    scaled = direction(MuonEq, [factor * g for g in grads], order=order)
    assert_close(scaled, direction(MuonEq, grads, order=order), rtol=1e-5, atol=1e-6)


def test_muoneq_leaves_unit_rows_alone():
    """T-n.3: then the exact polar factor is Muon's."""
    x = noise((4, 9), 1)[0]
    unit = [x / x.norm(dim=1, keepdim=True)]
    assert_close(direction(MuonEq, unit, polar=SVD()), direction(Muon, unit, polar=SVD()), rtol=1e-6, atol=1e-7)


def test_polar_adamw_without_memory_is_the_polar_factor_of_signs():
    """T-q.1."""
    grads = noise((5, 7), 4)
    found = direction(PolarAdamW, grads, betas=(0.0, 0.0), eps=0.0, polar=SVD())
    assert_close(found, match(grads[0]) * exact(grads[-1].sign()))


# --- all of them --------------------------------------------------------------------------------------------------


def test_a_momentum_that_chooses_itself_works_for_relatives():
    for build in (NorMuon, AdaMuon, AdaGO, MuonEq, REG, ROOT, OLion):
        p = Parameter(torch.randn(6, 4))
        opt = build([p], momentum="auto", roles=BY_SHAPE)
        for g in noise((6, 4), 4):
            p.grad = g.float()
            opt.step()
        assert p.isfinite().all() and opt.report()["groups"]


def test_the_official_normuon_agrees():
    """pytorch_optimizer's NorMuon follows the official code; its Newton-Schulz runs in bfloat16."""
    other = pytest.importorskip("pytorch_optimizer")
    start, grads = torch.randn(12, 5), [g.float() for g in noise((12, 5), 6)]
    p = Parameter(start.clone())
    theirs = other.NorMuon([{"params": [p], "use_muon": True}], lr=LR, weight_decay=WD)
    for g in grads:
        p.grad = g.clone()
        theirs.step()
    polar = NewtonSchulz(dtype=torch.bfloat16)
    mine = walked(NorMuon, start, grads, weight_decay=WD, polar=polar)
    assert_close(mine / (12 / 5) ** 0.5, p.detach() / (12 / 5) ** 0.5, rtol=0, atol=5e-3)


def test_all_are_at_hand():
    assert {"NorMuon", "AdaMuon", "AdaGO", "NAMO", "NAMOD", "MuonEq", "REG", "ROOT", "AuON", "EGD"} <= set(
        fallline.__all__
    )


def test_sentences_can_be_read():
    opt = PolarAdamW([Parameter(torch.ones(3, 2))], roles=BY_SHAPE)
    assert "EMA(0.9) → Through(SecondMoment(0.999)) → MatchRMS(Spectral" in repr(opt)
    assert Through(opt.sentence(opt.param_groups[0]).metric).matrix
    assert isinstance(opt.metric, MatchRMS) and Clamp().matrix and RowMoment().matrix
