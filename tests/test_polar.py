"""Polar factors: laws that every way obeys, what each promises, and torch's own Muon step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import pytest
import torch
from torch.testing import assert_close

from fallline import Muon, Spectral
from fallline.core.field import Bundle
from fallline.core.memory import Memory
from fallline.core.pile import SMALL, piled, room
from fallline.metrics.polar import (
    AOL,
    AUTO,
    QDWH,
    SETS,
    SVD,
    TORCH,
    FrobeniusStart,
    GramEigen,
    GramNewtonSchulz,
    GramQDWH,
    NewtonSchulz,
    Polar,
    SchattenStart,
    Vector,
)
from fallline.metrics.polar import auto as choices
from fallline.metrics.polar.auto import choose
from fallline.metrics.polar.halley import weights

SCHATTEN, EIGHT = SchattenStart(), SchattenStart(8)
WAYS = (
    NewtonSchulz(),
    NewtonSchulz("you-6", EIGHT),
    NewtonSchulz("polar-express", SCHATTEN, steps=5, safety=1.01),
    NewtonSchulz("cubic-5"),
    GramNewtonSchulz("polar-express", EIGHT),
    GramNewtonSchulz(rebuild=2),
    QDWH(1e-15),
    QDWH(2e-4, steps=2, cholesky=float("inf")),
    QDWH(2e-4, steps=3, cholesky=float("inf")),
    GramQDWH(),
    GramEigen(),
    SVD(),
    AUTO,
)
EXACT = (QDWH(1e-15), QDWH(1e-15, cholesky=1e9), NewtonSchulz("polar-express", SCHATTEN, 12), GramEigen(), SVD())
FREE_OF_SCALE = [way for way in WAYS if not isinstance(getattr(way, "start", None), FrobeniusStart)]
every_way = pytest.mark.parametrize("way", WAYS, ids=str)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def matrix(m, n, least=0.05, dtype=torch.float64, seed=0):
    """Singular values log-uniform between `least` and 1, and the exact factor beside it."""
    generator = torch.Generator().manual_seed(seed)
    r = min(m, n)
    u, v = (torch.linalg.qr(torch.randn(k, r, generator=generator, dtype=torch.float64))[0] for k in (m, n))
    s = torch.logspace(float(torch.tensor(least).log10()), 0, r, dtype=torch.float64)
    return ((u * s) @ v.mT).to(dtype), (u @ v.mT).to(dtype)


def apart(x, y):
    """Relative distance."""
    return float((x - y).norm() / y.norm())


# --- laws -------------------------------------------------------------------------------------------------------------


@every_way
def test_turning_both_sides_turns_the_factor(way):
    x, _ = matrix(12, 20)
    p, q = (torch.linalg.qr(torch.randn(k, k, dtype=torch.float64))[0] for k in (12, 20))
    assert_close(way(p @ x @ q), p @ way(x) @ q, rtol=0, atol=1e-9)


@every_way
def test_tall_is_wide_turned(way):
    x, _ = matrix(9, 14)
    assert_close(way(x.mT.contiguous()), way(x).mT, rtol=0, atol=1e-12)


@every_way
def test_signs_pass_through(way):
    x, _ = matrix(8, 11)
    assert_close(way(-x), -way(x), rtol=0, atol=1e-14)


@every_dtype
@pytest.mark.parametrize("way", FREE_OF_SCALE, ids=str)
def test_scale_does_not_matter(way, dtype):
    x, _ = matrix(10, 16, dtype=dtype)
    for scale in (1e-18, 1e15):
        assert_close(way(x * scale), way(x), rtol=0, atol=1e-3 if dtype is torch.float32 else 1e-9)


def test_the_published_start_lets_tiny_matrices_stay_short():
    x, exact = matrix(10, 16)
    assert apart(NewtonSchulz("deepseek-10")(x * 1e-3), exact) < 1e-2
    assert NewtonSchulz()(x * 1e-12).norm() < 0.1


@every_dtype
@every_way
def test_nothing_has_the_factor_nothing(way, dtype):
    x = torch.stack([torch.zeros(4, 7, dtype=dtype), matrix(4, 7, dtype=dtype)[0]])
    y = way(x)
    assert not y[0].any() and y[1].isfinite().all() and y[1].norm() > 1


@every_way
def test_what_is_not_finite_shows(way):
    x = matrix(4, 7)[0]
    x[1, 2] = float("nan")
    assert way(x).isnan().any()


@every_dtype
@pytest.mark.parametrize("way", [w for w in WAYS if w != QDWH(1e-15)], ids=str)  # which takes rounding for a rank
def test_directions_without_gradient_get_no_step(way, dtype):
    u, v = torch.randn(12, 3, dtype=dtype), torch.randn(3, 20, dtype=dtype)
    y = way(u @ v)
    kept = torch.linalg.svdvals(y)
    assert kept[2] > 0.3 and kept[0] < 1.3 and kept[3] < 2e-2
    assert_close(y, (u @ torch.linalg.pinv(u)) @ y, rtol=0, atol=2e-2)


@every_dtype
@every_way
def test_a_stack_is_a_loop(way, dtype):
    x = torch.stack([matrix(6, 10, dtype=dtype, seed=k)[0] for k in range(6)]).view(2, 3, 6, 10)
    loop = torch.stack([way(one) for one in x.flatten(0, 1)]).view_as(x)
    assert_close(way(x), loop, rtol=0, atol=1e-4 if dtype is torch.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@every_way
def test_narrow_weights_keep_their_dtype(way, dtype):
    x, _ = matrix(8, 12, dtype=dtype)
    y = way(x)
    assert y.dtype is dtype and y.shape == x.shape and y.isfinite().all()
    assert 0.3 < torch.linalg.svdvals(y.float())[0] < 1.4


def test_a_vector_is_made_of_length_one():
    for shape in ((1, 5), (5, 1), (3, 1, 4)):
        x = torch.randn(shape)
        assert_close(AUTO(x), x / x.norm(dim=(-2, -1), keepdim=True))
        assert not Vector()(torch.zeros(shape)).any()


# --- accuracy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", EXACT, ids=str)
@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (16, 16), (3, 64)], ids=str)
def test_exact_ways_are_exact(way, shape):
    x, exact = matrix(*shape, least=1e-3)
    assert apart(way(x), exact) < 1e-9


def scalar(named, x, **how):
    """What a set of coefficients makes of singular values up to 1: matrices of 1 x 1, which eps = 1 does not scale."""
    return NewtonSchulz(named, FrobeniusStart(1.0), **how)(x[:, None, None]).flatten()


def test_the_start_of_that_probe_is_the_identity():
    x = torch.linspace(0.1, 1, 5, dtype=torch.float64)
    (a, b, c), got = SETS["keller"][0], scalar("keller", x, steps=1)
    assert_close(got, a * x + b * x**3 + c * x**5)


# T-c.3 and the ranges of table (f3), for singular values in [1e-3, 1] and [1e-2, 1], and the slope at 0.
BANDS = {
    "keller": (0.471, 1.202, 0.682, 1.134, 485),
    "you-5": (0.475, 1.145, 0.978, 1.032, 493),
    "you-6": (0.866, 0.999, 0.996, 0.999, 1137),
    "cans": (0.884, 1.120, 0.884, 1.120, 1049),
    "cubic-5": (0.119, 1.300, 0.774, 1.300, 119),
    "deepseek-10": (1.000, 1.001, 1.000, 1.001, 7.9e4),
    "quintic": (0.023, 1.0, None, 1.0, 23),
    "cubic": (0.008, 1.0, None, 1.0, 7.6),
}


@pytest.mark.parametrize("named", BANDS)
def test_bands_of_the_sets(named):
    low, high, low2, high2, slope = BANDS[named]
    for least, floor, ceiling in ((-3, low, high), (-2, low2, high2)):
        got = scalar(named, torch.logspace(least, 0, 400, dtype=torch.float64))
        assert floor is None or float(got.min()) == pytest.approx(floor, abs=2e-3)
        assert float(got.max()) == pytest.approx(ceiling, abs=2e-3)
    assert float(scalar(named, torch.tensor([1e-9], dtype=torch.float64))[0]) * 1e9 == pytest.approx(slope, rel=0.02)


def test_polar_express_is_the_better_of_five_steps_and_converges_in_eight():
    x = torch.logspace(-3, 0, 400, dtype=torch.float64)
    express = scalar("polar-express", x, steps=5, safety=1.01)
    assert float(express.min()) == pytest.approx(0.846, abs=2e-3)
    assert float(express.max()) == pytest.approx(1.124, abs=2e-3)
    assert_close(scalar("polar-express", x), torch.ones_like(x), rtol=0, atol=1e-3)
    assert (express - 1).abs().mean() < (scalar("keller", x) - 1).abs().mean() / 2


def test_two_steps_of_halley_never_overshoot():
    for floor, low in ((1e-3, 0.962), (2e-4, 0.913)):
        (a, b, c), (d, e, f) = weights(floor, 2)
        x = torch.logspace(float(torch.tensor(floor).log10()), 0, 400, dtype=torch.float64)
        y = x * (a + b * x**2) / (1 + c * x**2)
        y = y * (d + e * y**2) / (1 + f * y**2)
        assert y.min() > low and y.max() < 1 + 1e-12


# Relative error to the exact factor in float32, 128 x 256, by condition number (sheet 3.3; ours may be better).
ERRORS = {
    SVD(): (2e-5, 2e-5, 5e-5, 5e-4),
    GramEigen(): (2e-5, 1e-3, 0.06, 0.6),
    NewtonSchulz("polar-express", FrobeniusStart(0.0)): (1e-5, 1e-5, 5e-3, 0.3),
    QDWH(1e-5): (5e-6, 1e-5, 1e-4, 1e-3),
    QDWH(2e-4, steps=2, cholesky=float("inf")): (0.1, 0.1, 0.1, 0.3),
    GramQDWH(): (0.05, 0.05, 0.1, 0.4),
}


@pytest.mark.parametrize("way", ERRORS, ids=str)
def test_errors_in_single_precision(way):
    for condition, bound in zip((1e1, 1e2, 1e3, 1e4), ERRORS[way], strict=True):
        x, exact = matrix(128, 256, least=1 / condition, dtype=torch.float32)
        assert apart(way(x), exact) < bound, condition


@pytest.mark.parametrize("shape", [(96, 96), (64, 256)], ids=str)
@pytest.mark.parametrize("spectrum", ["gaussian", "spiked", "condition 1e4", "rank 1", "ones"])
def test_the_default_is_no_less_accurate_than_muons_own(shape, spectrum):
    torch.manual_seed(0)
    m, n = shape
    x = {
        "gaussian": torch.randn(shape),
        "spiked": torch.randn(m, 8) @ torch.randn(8, n) + 0.1 * torch.randn(shape),
        "condition 1e4": matrix(m, n, least=1e-4, dtype=torch.float32)[0],
        "rank 1": torch.randn(m, 1) @ torch.randn(1, n) + 1e-9 * torch.randn(shape),
        "ones": torch.ones(shape),
    }[spectrum]
    exact = SVD()(x.double())
    for way in (choices.HALLEY_SMALL, choices.HALLEY, choices.HALLEY_LONG, choices.SINGLE):
        y = way(x).double()
        assert apart(y, exact) <= apart(NewtonSchulz()(x).double(), exact) + 1e-3
        assert torch.linalg.matrix_norm(y, 2) < 1.2


# --- identities of sheet (f) ------------------------------------------------------------------------------------------


def test_no_start_lets_a_singular_value_exceed_one():
    for x in (matrix(8, 12)[0], torch.diag(torch.tensor([1e-3, 1.0, 50.0]).double()), torch.ones(4, 6).double()):
        for start in (FrobeniusStart(), SCHATTEN, EIGHT, AOL()):
            y, gram, square = start(x, x.dtype)
            assert torch.linalg.matrix_norm(y, 2) <= 1 + 1e-12  # T-f.1
            assert_close(gram, y @ y.mT)
            assert square is None or torch.allclose(square, gram @ gram)


def test_starts_are_the_tighter_the_higher_the_power():
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sizes = [float(torch.linalg.matrix_norm(start(x, x.dtype)[0], 2)) for start in (FrobeniusStart(), SCHATTEN, EIGHT)]
    assert sizes == sorted(sizes) and sizes[0] < 0.3 and sizes[2] > 0.6


def test_aol_approaches_the_factor_of_rescaled_rows():
    x, _ = matrix(8, 12)
    rows = torch.logspace(-2, 0, 8, dtype=torch.float64)[:, None] * x
    s = (rows @ rows.mT).abs().sum(-1, keepdim=True).rsqrt()
    way = NewtonSchulz("polar-express", AOL(), steps=12)
    assert apart(way(rows), SVD()(s * rows)) < 1e-9  # T-f.2
    assert apart(way(rows), SVD()(rows)) > 1e-2
    p, q = (torch.linalg.qr(torch.randn(k, k, dtype=torch.float64))[0] for k in (8, 12))
    assert apart(way(rows @ q), way(rows) @ q) < 1e-9  # T-f.3: the long side's symmetry stays, the short side's goes
    assert apart(way(p @ rows), p @ way(rows)) > 1e-2
    assert apart(NewtonSchulz("turbo", AOL())(x), SVD()(x)) < 0.15


@pytest.mark.parametrize("rebuild", [None, 1, 2, 3])
@pytest.mark.parametrize("start", [FrobeniusStart(), EIGHT], ids=str)
def test_the_gram_form_is_the_same_polynomial(rebuild, start):
    x, _ = matrix(12, 40)
    for named in ("keller", "polar-express", "cubic"):
        got = GramNewtonSchulz(named, start, steps=5, rebuild=rebuild)(x)
        assert_close(got, NewtonSchulz(named, start, steps=5)(x), rtol=0, atol=1e-11)  # T-f.4


def test_halley_in_gram_form_is_the_same_function():
    x, _ = matrix(12, 40)
    assert_close(GramQDWH(1e-3, steps=3)(x), QDWH(1e-3, steps=3)(x), rtol=0, atol=1e-9)
    assert_close(QDWH(1e-3, steps=3, cholesky=1e9)(x), QDWH(1e-3, steps=3)(x), rtol=0, atol=1e-9)


def test_in_bfloat16_the_gram_form_needs_rebuilding():
    x = torch.randn(32, 128, generator=torch.Generator().manual_seed(0))
    x = x + 30 * x[:, :1] @ x[:1]
    how = {"steps": 5, "safety": 1.02, "dtype": torch.bfloat16}
    rebuilt = GramNewtonSchulz("polar-express", SCHATTEN, rebuild=2, **how)(x)
    assert torch.linalg.matrix_norm(rebuilt, 2) < 1.3
    assert apart(rebuilt, SVD()(x)) < apart(NewtonSchulz()(x), SVD()(x))


# --- the choice -------------------------------------------------------------------------------------------------------


def test_the_choice_follows_hardware_dtype_and_shape():
    def way(device="cpu", double=False, short=768, long=768, bfloat16=False):
        return choose(device, double, short, long, bfloat16)

    assert way() == choices.HALLEY and way(long=1536) == choices.HALLEY_LONG
    assert way(bfloat16=True) == choices.HALF and way(long=3072, bfloat16=True) == choices.HALF_LONG
    assert way(short=64, long=640, bfloat16=True) == way(short=64, long=64) == choices.HALLEY_SMALL
    assert way("cuda", short=64, long=64, bfloat16=True) == choices.HALF and way("cuda") == choices.SINGLE
    assert way(double=True) == SVD() and way("cuda", double=True) == choices.DOUBLE
    assert way(short=1) == way("cuda", short=1, double=True) == Vector()
    assert all(AUTO.choice(torch.zeros(3, 4, dtype=d)) == way(short=3, long=4) for d in (torch.float32, torch.bfloat16))


def test_small_matrices_do_not_tell_single_from_double_precision():
    for shape in ((5, 4), (16, 16), (64, 200), (3, 12, 64)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        assert_close(AUTO(x).double(), AUTO(x.double()), rtol=0, atol=2e-3)


def test_what_cannot_be_is_refused():
    for wrong in (
        lambda: NewtonSchulz("kellar"),
        lambda: NewtonSchulz(()),
        lambda: NewtonSchulz(safety=0.5),
        lambda: NewtonSchulz(steps=0),
        lambda: GramNewtonSchulz(rebuild=0),
        lambda: SchattenStart(6),
        lambda: QDWH(2.0),
        lambda: GramQDWH(steps=0),
    ):
        with pytest.raises(ValueError):
            wrong()


# --- piles ------------------------------------------------------------------------------------------------------------


@every_dtype
@every_way
def test_a_bundle_is_a_loop(way, dtype):
    shapes = ((6, 10), (3, 4), (6, 10), (10, 6), (6, 10), (1, 5), (2, 3, 4), (2, 3, 4))
    xs = [torch.randn(shape, dtype=dtype) for shape in shapes]
    metric, t, mem = Spectral(way), torch.tensor(1.0), Memory({})
    together = metric.direction(Bundle(xs), mem, t)
    assert [y.shape for y in together] == [x.shape for x in xs]
    for x, y in zip(xs, together, strict=True):
        assert_close(y, metric.direction(x, mem, t), rtol=0, atol=1e-4 if dtype is torch.float32 else 1e-12)


def test_piles_hold_equal_shapes_and_no_more_than_fits(monkeypatch):
    seen = []
    xs = Bundle(torch.randn(shape) for shape in ((2, 3), (4, 3), (2, 3), (2, 3), (SMALL + 1, 200), (SMALL + 1, 200)))
    monkeypatch.setattr("fallline.core.pile.NUMBERS", 12)
    made = piled(lambda y: seen.append(tuple(y.shape)) or y * 2, xs)
    assert seen == [(2, 2, 3), (1, 2, 3), (1, 4, 3), (SMALL + 1, 200), (SMALL + 1, 200)]
    assert all(torch.equal(y, 2 * x) for x, y in zip(xs, made, strict=True))
    assert room(torch.empty(SMALL + 1, SMALL + 1, device="meta")) >= 1  # elsewhere than on a CPU all are piled


def test_who_does_not_pile_is_asked_one_by_one():
    seen = []

    @final
    @dataclass(frozen=True)
    class Alone(Polar):
        def __call__(self, x):
            seen.append(x.shape)
            return x

        @property
        def piles(self):
            return False

    Spectral(Alone()).direction(Bundle([torch.ones(2, 3)] * 2), Memory({}), torch.tensor(1.0))
    assert seen == [(2, 3), (2, 3)]


# --- torch.optim.Muon -------------------------------------------------------------------------------------------------

SHAPES = ((16, 24), (40, 12), (8, 8), (24, 16))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize(("shape", "named"), [("keller", "original"), ("rms", "match_rms_adamw")])
def test_muon_is_torchs_muon(shape, named, nesterov):
    how = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.3, "nesterov": nesterov}
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(s, generator=generator) for s in SHAPES]
    ours, theirs = ([torch.nn.Parameter(x.clone()) for x in start] for _ in range(2))
    opt = Muon(ours, polar=TORCH, shape=shape, roles="by shape", **how)
    reference = torch.optim.Muon(theirs, adjust_lr_fn=named, **how)
    for _ in range(12):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        opt.step()
        reference.step()
        for p, q in zip(ours, theirs, strict=True):
            # the polar factors are equal bit for bit; torch multiplies lr and factor first, we the factor and u
            assert_close(p, q, rtol=0, atol=2e-6)


def test_torchs_polar_factor_bit_for_bit():
    muon = pytest.importorskip("torch.optim._muon")
    for shape in (*SHAPES, (130, 70), (70, 130)):
        x = torch.randn(shape)
        wanted = muon._zeropower_via_newtonschulz(x, (3.4445, -4.7750, 2.0315), 5, 1e-7)
        assert torch.equal(TORCH(x), wanted.float())
