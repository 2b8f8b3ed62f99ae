"""Other functions of the spectrum, and sub-spaces of it: loops from the papers' equations, and identities."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import (
    SVD,
    Clip,
    Dion,
    Dion2,
    Freon,
    HTMuon,
    Kaon,
    LowRankEF,
    MuCon,
    Muon,
    NewtonSchulz,
    NorDion2,
    Power,
    QuasiNorm,
    Sliced,
    SliceEF,
    Soft,
    SoftMuon,
    Spectral,
    Spectrum,
)
from fallline.core.field import Bundle
from fallline.core.memory import Memory
from fallline.filters.lowrank import start
from fallline.zoo.freon import chaos
from laws.metric import a_bundle_is_a_loop, signs_pass_through

T = torch.tensor(1.0, dtype=torch.float64)
SHAPES = ((5, 8), (9, 4), (6, 6))
LR, DECAY = 0.1, 0.2
EXACT = SVD()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def walked(build, shapes=SHAPES, steps=15):
    """Weights after some steps, and the gradients of each."""
    params = [Parameter(normal(*shape)) for shape in shapes]
    opt = build(params, roles="by shape")
    stream = [[normal(*shape, seed=7 * n + i + 1) for i, shape in enumerate(shapes)] for n in range(steps)]
    for now in stream:
        for p, g in zip(params, now, strict=True):
            p.grad = g.clone()
        opt.step()
    return [p.detach() for p in params], [list(column) for column in zip(*stream, strict=True)]


def agrees(build, loop, **how):
    """The optimizer is the loop: loop(W, gradients) gives the last W."""
    for w, stream in zip(*walked(build, **how), strict=True):
        assert_close(w, loop(normal(*w.shape), stream), rtol=1e-10, atol=1e-10)


def direction(part, x):
    return part.direction(x, Memory({}), T)


# --- the optimizers are their papers' equations -------------------------------------------------------------------


def dion(fraction, mu, w, stream):
    m, n = w.shape
    big_m, q = torch.zeros_like(w), start((min(m, n), -(-min(m, n) * fraction // 1).__int__()))
    for g in stream:
        b = big_m + g
        b = b if m >= n else b.T
        p = torch.linalg.qr(b @ q).Q
        r = b.T @ p
        q = r / (r.norm(dim=0) + 1e-8)
        big_m, d = b - (1 - mu) * p @ r.T, p @ q.T
        big_m, d = (big_m, d) if m >= n else (big_m.T, d.T)
        w = (1 - LR * DECAY) * w - LR * (m / n) ** 0.5 * d
    return w


@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.2])
def test_dion_is_its_loop(fraction):
    build = partial(Dion, lr=LR, mu=0.9, weight_decay=DECAY, rank_fraction=fraction)
    agrees(build, partial(dion, fraction, 0.9))


def dion2(fraction, decay, w, stream):
    m, n = w.shape
    big_m = torch.zeros_like(w)
    for g in stream:
        big_m = big_m + g
        rows = big_m if m <= n else big_m.T
        best = sorted(range(len(rows)), key=lambda i: -float(rows[i].abs().sum()))
        at = sorted(best[: -int(-fraction * len(rows) // 1)])
        d = torch.zeros_like(rows)
        d[at] = EXACT(rows[at])
        rows[at] *= decay  # a view of M
        w = (1 - LR * DECAY) * w - LR * (m / n) ** 0.5 * (d if m <= n else d.T)
    return w


@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.25])
def test_dion2_is_its_loop(fraction):
    build = partial(Dion2, lr=LR, fraction=fraction, ef_decay=0.8, weight_decay=DECAY, polar=EXACT)
    agrees(build, partial(dion2, fraction, 0.8))


def nordion2(fraction, b2, w, stream):
    m, n = w.shape
    big_m, v = torch.zeros_like(w), torch.zeros(m, 1, dtype=w.dtype)
    for g in stream:
        big_m = big_m + g
        at = big_m.abs().sum(1).sort(descending=True).indices[: -int(-fraction * m // 1)]
        o = EXACT(big_m[at])
        big_m[at] *= 0.9
        v[at] = b2 * v[at] + (1 - b2) * o.square().mean(1, keepdim=True)
        even = o / (v[at].sqrt() + 1e-10)
        w = (1 - LR * DECAY) * w
        w[at] -= LR * (m / n) ** 0.5 * even * o.norm() / even.norm()
    return w


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_nordion2_is_its_loop(fraction):
    build = partial(NorDion2, lr=LR, fraction=fraction, mu=0.9, beta2=0.8, weight_decay=DECAY, polar=EXACT)
    for w, stream in zip(*walked(build), strict=True):
        assert_close(w, nordion2(fraction, 0.8, normal(*w.shape), stream), rtol=1e-8, atol=1e-8)


def bent(f, nesterov, w, stream):
    """Muon with f on the singular values instead of 1, and the published shape factor."""
    (rows, columns), big_m = w.shape, torch.zeros_like(w)
    for g in stream:
        big_m = 0.9 * big_m + 0.1 * g
        u, s, vt = torch.linalg.svd(0.1 * g + 0.9 * big_m if nesterov else big_m, full_matrices=False)
        w = (1 - LR * DECAY) * w - LR * max(1, rows / columns) ** 0.5 * u @ torch.diag(f(s)) @ vt
    return w


def freon(c, s):
    q = 2 * (1 - c)
    return (s / (s**q).sum() ** (1 / q)) ** (1 - 2 * c)


def soft(level, s):
    tau = (1 - 1e-4) / (1 - (1 - 1e-4) ** 2) ** 0.5 / torch.quantile(s, level)
    return s / (s**2 + tau**-2).sqrt()


def kaon(steps, s):
    s = s / s.norm()
    for _ in range(steps):
        s = 4.1 * (1 - s**2) ** 2 * s
    return s / 1.175


BENT = {
    "htmuon": (partial(HTMuon, power=0.125), lambda s: s**0.125, True),
    "freon": (partial(Freon, c=0.6, shape="keller"), partial(freon, 0.6), False),
    "softmuon": (partial(SoftMuon, level=0.5), partial(soft, 0.5), True),
    "mucon": (partial(MuCon, tau=0.7), lambda s: s.clamp(max=0.7), True),
    "kaon": (partial(Kaon, steps=5, shape="keller"), partial(kaon, 5), False),
}


@pytest.mark.parametrize("name", BENT)
def test_a_spectrums_optimizer_is_its_loop(name):
    build, f, nesterov = BENT[name]
    agrees(partial(build, lr=LR, momentum=0.9, weight_decay=DECAY), partial(bent, f, nesterov))


# --- Dion (sheet h) -----------------------------------------------------------------------------------------------


def turn(part, g, mem):
    part.remember(g, mem, T)
    b = mem.m.clone()
    return b, part.output(g, mem, T)


def test_dion_at_full_rank_with_exact_q_is_muon_with_a_heavy_ball():
    """T-h.1: P Q^T = U V^T, and M = mu B."""
    part, g = LowRankEF(1.0, 0.9), normal(7, 4)
    mem = Memory(part.memory(g))
    mem.q.copy_(torch.linalg.svd(g).Vh.T)
    b, d = turn(part, g, mem)
    assert_close(d, EXACT(g))
    assert_close(mem.m, 0.9 * b)


def test_dion_without_feedback_adds_up_for_ever():
    """T-h.2: mu = 1."""
    part, g = LowRankEF(0.5, 1.0), normal(4, 6)
    mem = Memory(part.memory(g))
    for _ in range(3):
        turn(part, g, mem)
    assert_close(mem.m, 3 * g)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (3, 4, 6)])
def test_dion_keeps_what_it_did_not_use(shape):
    """T-h.3: M + (1 - mu) P P^T B = B, where P P^T projects onto the columns (rows) of the direction."""
    part, g = LowRankEF(0.5, 0.9), normal(*shape)
    mem = Memory(part.memory(g))
    b, d = turn(part, g, mem)
    used = d @ torch.linalg.pinv(d) @ b if shape[-2] >= shape[-1] else b @ torch.linalg.pinv(d) @ d
    assert_close(mem.m + 0.1 * used, b)


def test_dion_finds_a_constant_rank_one_gradient_at_once():
    """T-h.4."""
    u, v = torch.nn.functional.normalize(normal(6), dim=0), torch.nn.functional.normalize(normal(4, seed=1), dim=0)
    part = LowRankEF(0.25, 0.9)
    mem = Memory(part.memory(torch.outer(u, v)))
    for _ in range(3):
        assert_close(turn(part, 3 * torch.outer(u, v), mem)[1], torch.outer(u, v))


def test_dion_starts_alike_everywhere_and_leaves_the_global_dice_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, second = (LowRankEF(0.5).memory(torch.empty(6, 4))["q"] for _ in range(2))
    assert torch.equal(first, second) and torch.equal(torch.rand(3), expected)
    assert LowRankEF(0.5).memory(torch.empty(2, 6, 4, device="meta"))["q"].shape == (2, 4, 2)
    assert not torch.equal(*start((2, 4, 2)))  # each matrix of a stack has its own


def test_dion_survives_a_zero_gradient():
    part = LowRankEF(0.5)
    mem = Memory(part.memory(normal(6, 4)))
    before = mem.q.clone()
    assert not turn(part, torch.zeros(6, 4, dtype=torch.float64), mem)[1].any()
    assert torch.equal(mem.q, before)
    assert turn(part, normal(6, 4), mem)[1].norm() > 0.5


@pytest.mark.parametrize("part", [LowRankEF(1.0, 0.7), SliceEF(1.0, 0.7)], ids=str)
def test_the_memory_of_everything_is_a_heavy_ball(part):
    """What it remembers of one gradient after k steps is mu^(k+1) of it: the taps, one step further on."""
    g = normal(4, 6)
    mem = Memory(part.memory(g))
    turn(part, g, mem)
    for k in range(1, 4):
        assert_close(mem.m, part.taps(k + 1)[k] * g)
        turn(part, torch.zeros_like(g), mem)


# --- Dion2 (sheet h) ----------------------------------------------------------------------------------------------


def test_dion2_with_all_rows_is_muon_with_a_heavy_ball():
    """T-h.5: U_t = ef_decay U_{t-1} + G_t, and no Nesterov."""
    polar = NewtonSchulz()
    ours, _ = walked(partial(Dion2, lr=LR, fraction=1.0, ef_decay=0.9, weight_decay=0.0, polar=polar), ((6, 6),))
    muon = partial(Muon, lr=LR, momentum=0.9, nesterov=False, weight_decay=0.0, shape="keller", polar=polar)
    assert_close(ours, walked(muon, ((6, 6),))[0])


@pytest.mark.parametrize("shape", [(8, 12), (12, 8), (3, 8, 8)])
def test_the_polar_factor_of_a_slice_is_that_of_the_padded_matrix(shape):
    """polar([X; 0]) = [polar(X); 0]: gathering the slice saves work and changes nothing."""
    part, g = SliceEF(0.25, 0.9), normal(*shape)
    u = turn(part, g, Memory(part.memory(g)))[1]
    whole = direction(Spectral(EXACT), u)
    assert_close(direction(Sliced(Spectral(EXACT), 0.25), u), whole)
    assert_close(torch.linalg.svdvals(whole).sum(-1), torch.full(shape[:-2], 2.0, dtype=torch.float64))


def test_rows_wait_for_their_turn():
    """Error feedback: what was not chosen adds up until it is."""
    part, g = SliceEF(0.5, 0.0), torch.tensor([[3.0, 0.0], [0.0, 1.1]])
    mem = Memory(part.memory(g))
    chosen = [turn(part, g, mem)[1].abs().sum(1).argmax().item() for _ in range(4)]
    assert chosen == [0, 0, 1, 0]


# --- the spectrum (sheet y, extras) -------------------------------------------------------------------------------


def unit(x):
    return x / x.norm()


@pytest.mark.parametrize("p", [0.125, 0.5])
def test_htmuon_is_freon_up_to_a_number(p):
    """T-y.1: c = (1 - p) / 2, so q = 1 + p."""
    g = normal(6, 9)
    assert_close(unit(direction(Spectrum(Power(p)), g)), unit(direction(Spectrum(QuasiNorm(1 + p)), g)))


def test_ends_of_the_family():
    """T-y.2: power 0 is the polar factor, power 1 the gradient; Freon's c = 1/2 and 0 likewise."""
    g = normal(6, 9)
    assert_close(direction(Spectrum(Power(0)), g), EXACT(g))
    assert_close(direction(Spectrum(Power(1)), g), g)
    assert_close(direction(Spectrum(QuasiNorm(1)), g), EXACT(g))
    assert_close(direction(Spectrum(QuasiNorm(2)), g), unit(g))


@pytest.mark.parametrize("q", [1.1, 1.5, 3.0])
def test_freon_is_steepest_descent_in_a_schatten_norm(q):
    """T-y.3: length 1 in the norm dual to q, and <G, D> = norm_q(G), which no other D of that length exceeds."""
    g = normal(6, 9)
    d, dual = direction(Spectrum(QuasiNorm(q)), g), q / (q - 1)
    length = partial(torch.linalg.vector_norm, dim=-1)
    assert_close(length(torch.linalg.svdvals(d), ord=dual), torch.ones((), dtype=torch.float64))
    best = length(torch.linalg.svdvals(g), ord=q)
    assert_close((g * d).sum(), best)
    others = normal(50, 6, 9, seed=1) + 3 * d
    assert ((g * others).sum((-2, -1)) / length(torch.linalg.svdvals(others), ord=dual) <= best).all()


def test_beyond_norms_the_spectrum_is_inverted_and_scale_still_free():
    g = normal(6, 9)
    d = direction(Spectrum(QuasiNorm(0.8)), g)
    u, _, vt = torch.linalg.svd(g, full_matrices=False)
    assert (u.T @ d @ vt.T).diag().diff().gt(0).all()  # where the gradient's fall
    assert_close(direction(Spectrum(QuasiNorm(0.8)), 1e-30 * g), d)
    assert_close(direction(Spectrum(QuasiNorm(0.05)), 1e30 * g), direction(Spectrum(QuasiNorm(0.05)), g))


def test_kaon_keeps_the_singular_vectors_and_nothing_else():
    """T-y.4: U^T D V is diagonal, in (0, 1.1735 / 1.175], and after 30 steps in another order."""
    g = normal(64, 64)
    u, s, vt = torch.linalg.svd(g)
    inside = u.T @ chaos(30)(g) @ vt.T
    assert (inside - inside.diag().diag()).abs().max() < 1e-7
    assert inside.diag().min() > 0 and inside.diag().max() < 1.1736 / 1.175
    assert abs(torch.corrcoef(torch.stack([inside.diag(), s]))[0, 1]) < 0.5
    assert 0.6 < (unit(inside.diag().diag()) * unit(torch.eye(64, dtype=torch.float64))).sum() < 0.95


def test_a_clip_from_two_polar_factors():
    """Extras: with O = polar(X), B = tau O - X, min(S, tau) = (tau O + X - B polar(B)^T O) / 2."""
    x, tau = normal(6, 9), 2.0
    o = EXACT(x)
    b = tau * o - x
    assert_close(direction(Spectrum(Clip(tau)), x), (tau * o + x - b @ EXACT(b).T @ o) / 2)


def test_a_soft_spectrum_is_an_inverse_root():
    """Extras: M (M^T M + tau^-2 I)^(-1/2); with all saturated it is Muon's."""
    x, level = normal(9, 6), 0.5
    full = 1 - 0.3
    tau = full / (1 - full**2) ** 0.5 / torch.quantile(torch.linalg.svdvals(x), level)
    values, basis = torch.linalg.eigh(x.T @ x + tau**-2 * torch.eye(6, dtype=torch.float64))
    assert_close(direction(Spectrum(Soft(level, 0.3)), x), x @ basis @ values.rsqrt().diag() @ basis.T)
    assert_close(direction(Spectrum(Soft(0.0, 1e-12)), x), EXACT(x), rtol=1e-9, atol=1e-9)


CURVES = (Power(0.25), Power(-0.5), QuasiNorm(0.7), QuasiNorm(3.0), Clip(0.5), Soft(0.5), Soft(0.0))


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_every_curve_turns_with_its_matrix_and_leaves_null_directions(curve):
    part, g = Spectrum(curve), normal(5, 3) @ normal(3, 7, seed=1)
    turned = [torch.linalg.qr(normal(n, n, seed=2)).Q for n in (5, 7)]
    assert_close(direction(part, turned[0] @ g @ turned[1]), turned[0] @ direction(part, g) @ turned[1])
    assert torch.linalg.matrix_rank(direction(part, g)) == 3
    assert not direction(part, torch.zeros(3, 4)).any()
    assert direction(part, torch.full((3, 4), torch.nan)).isnan().all()
    stack = torch.stack([g, torch.zeros_like(g), 2 * g])
    assert_close(direction(part, stack), torch.stack([direction(part, x) for x in stack]))


@pytest.mark.parametrize("part", [Spectrum(Power(0.5)), Sliced(Spectral(EXACT), 0.5)], ids=str)
def test_laws_that_hold_without_a_norm(part):
    for law in (signs_pass_through, a_bundle_is_a_loop):
        law(part, normal(4, 6))
    mixed = Bundle([normal(4, 6), normal(7, 2), normal(2, 3, 3)])
    assert all(torch.equal(a, direction(part, b)) for a, b in zip(direction(part, mixed), mixed, strict=True))
    assert (part.align(mixed, [mixed], Memory({}), T) > 0).all() and part.power(
        torch.eye(2), mixed, Memory({}), T
    ).shape


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Power(float("inf")),
        lambda: QuasiNorm(0.0),
        lambda: Clip(0.0),
        lambda: Soft(1.5),
        lambda: LowRankEF(0.0),
        lambda: SliceEF(1.1),
        lambda: SliceEF(0.5, 2.0),
        lambda: SliceEF(0.5, axis=0),
        lambda: Sliced(Spectral(), 0.0),
        lambda: Kaon([Parameter(torch.ones(2, 2))], steps=0, roles="by shape"),
    ],
)
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="Invalid"):
        wrong()


@pytest.mark.parametrize("build", [Dion, Dion2, NorDion2])
def test_error_feedback_has_one_momentum(build):
    assert build([Parameter(torch.ones(2, 2))], roles="by shape").param_groups[0]["momentum"] == 0.95
    with pytest.raises(ValueError, match="one number"):
        build([{"params": [Parameter(torch.ones(2, 2))], "momentum": (0.5, 0.9)}], roles="by shape")
