"""Every metric through the laws of metrics, and what only one of them has to keep."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from fallline import (
    SVD,
    Columns,
    Conv,
    Euclid,
    Exact,
    FadingPeak,
    FanIn,
    FanOut,
    FanRatio,
    Frobenius,
    Hutchinson,
    Keller,
    KyFan,
    MatchRMS,
    MaxSecondMoment,
    Nuclear,
    OwnDual,
    Preconditioned,
    QuasiMoment,
    RawMoment,
    Rectified,
    Rows,
    Schatten,
    SecondMoment,
    Sign,
    Spectral,
    SquareMoment,
    SquareSum,
    SubsetNorm,
    Surprise,
    VectorRMS,
    Weighted,
    metrics,
)
from fallline.core.memory import Memory
from fallline.core.part import Metric
from fallline.core.view import View
from fallline.metrics import FACTORS, shaped
from laws import metric as laws
from laws.metric import LAWS, T
from sampler import directions_in_the_plane, directions_of_two_by_two, fields, matrices

INF = float("inf")
NONE = Memory({})
EXACT = Spectral(SVD())

# What takes tensors of any shape, and what takes stacks of matrices.
OF_MOMENTS = (
    Hutchinson(0.9),
    MaxSecondMoment(0.9, 1e-12),
    FadingPeak(0.9, 1e-12),
    QuasiMoment(0.9, 0.7, 1e-12),
    Surprise(0.8, 0.9, 1e-24),
    Rectified(0.5, 1e-12),
    Rectified(0.999, 1e-12),
)
OF_GROUPS = (SubsetNorm(0.9, 1e-12), SubsetNorm(0.9, 1e-12, chunk=4), SubsetNorm(1.0, 1e-12))
OF_TENSORS = (
    Euclid(),
    Sign(),
    SecondMoment(0.9, 1e-12),
    RawMoment(0.9, 1e-12),
    SquareMoment(0.9, 1e-12),
    SquareSum(1e-12),
    Frobenius(),
    VectorRMS(),
    Weighted(Frobenius(), 3.0),
)
OF_SPECTRA = (EXACT, Schatten(1.5), Schatten(2.0), Schatten(10.0), Nuclear(), KyFan(2), KyFan(9))
SHAPED = (Keller(EXACT), MatchRMS(EXACT, 0.3), FanRatio(EXACT), FanIn(Rows(2.0), 0.5), FanOut(Columns(2.0), 0.5))
SHAPED += (FanIn(Sign(), -1.0), Weighted(EXACT, 0.2), Weighted(FanRatio(EXACT), 3.0), OwnDual(EXACT), OwnDual(Rows(3)))
OF_ROWS = (*map(Rows, (1.0, 1.5, 2.0, INF)), *map(Columns, (1.0, 1.5, 2.0, INF)))
OF_MATRICES = (*OF_SPECTRA, *SHAPED, *OF_ROWS)

OF_KERNELS = (Conv(EXACT), Conv(Rows(1.5)), Conv(EXACT, View(groups=2)))

every_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


def of(parts):
    return pytest.mark.parametrize("part", parts, ids=str)


def left_and_right(m: int, n: int) -> Preconditioned:
    """The spectral ball between two matrices that are far from orthogonal."""
    source = torch.Generator().manual_seed(9)
    a, b = (torch.randn(k, k, generator=source, dtype=torch.float64) + 2 * torch.eye(k) for k in (m, n))
    return Preconditioned(EXACT, a, b)


@every_law
@of(OF_GROUPS)
def test_law_of_groups(part, law):
    for g in (torch.randn(6, 4, dtype=torch.float64), torch.randn(2, 3, 8, dtype=torch.float64)):
        law(part, g)


@every_law
@of((*OF_TENSORS, *OF_MOMENTS))
def test_law(part, law):
    for g in fields():
        law(part, g)


@every_law
@of(OF_MATRICES)
def test_law_of_matrices(part, law):
    for g in fields():
        if g.dim() > 1:
            law(part, g)


@every_law
@of(OF_KERNELS)
def test_law_of_convolutions(part, law):
    law(part, torch.randn(4, 2, 3, 3, dtype=torch.float64))


@every_law
def test_law_between_two_matrices(law):
    for g in fields():
        if g.dim() > 1 and law is not laws.signs_pass_through:
            law(left_and_right(*g.shape[-2:]), g)


@of(OF_MATRICES)
def test_spectra_of_every_kind(part):
    for what, g in matrices().items():
        for x in (g, g.mT.contiguous()):
            d = part.direction(x, NONE, T)
            assert d.isfinite().all(), what
            assert_close((x * d).sum(), (part.dual(x, NONE, T) * part.norm(d, NONE, T))[0])


@of(OF_MATRICES)
def test_stacks(part):
    laws.a_stack_is_a_loop(part, torch.stack([*matrices().values(), torch.zeros(4, 3, dtype=torch.float64)]))
    laws.a_stack_is_a_loop(part, torch.randn(2, 3, 5, 4, dtype=torch.float64))


@of([part for part in (*OF_TENSORS, *OF_MATRICES) if not part.memory(torch.ones(2, 2))])
def test_norms_and_bundles(part):
    a, b = (torch.randn(4, 3, dtype=torch.float64) for _ in range(2))
    laws.it_is_a_norm(part, a, b)
    laws.tensors_of_many_shapes_walk_together(part, [a, torch.randn(2, 5, 2).double(), b[:1]])


@of((*OF_SPECTRA, *SHAPED[:3], OwnDual(EXACT)))
def test_orthogonal_changes_of_basis(part):
    for what, g in matrices().items():
        if "repeated" not in what or not isinstance(part, KyFan | Nuclear):  # then there are many leading pairs
            laws.orthogonal_changes_of_basis_pass_through(part, g)


@of((*OF_ROWS, *SHAPED[3:6], *OF_SPECTRA, Frobenius(), VectorRMS(), Sign()))
def test_permutations_and_signs(part):
    for g in (matrices()["apart"], torch.randn(3, 5, dtype=torch.float64)):
        laws.rows_may_be_permuted_and_turned(part, g)


@of((*OF_MATRICES, Frobenius(), Sign(), VectorRMS()))
def test_brute_force_in_two_dimensions(part):
    around = directions_in_the_plane()
    for g in torch.tensor([[1.0, 2.0], [-3.0, 0.1], [0.0, 1.0]], dtype=torch.float64):
        laws.no_other_direction_is_better(part, g[:, None], around[:, :, None], 0.015)
        laws.no_other_direction_is_better(part, g[None], around[:, None], 0.015)


@of((*OF_MATRICES, Frobenius(), Sign(), VectorRMS()))
def test_brute_force_of_two_by_two(part):
    g = torch.tensor([[1.0, 2.0], [-3.0, 0.5]], dtype=torch.float64)
    laws.no_other_direction_is_better(part, g, directions_of_two_by_two(), 0.08)


# --- what only one of them has to keep --------------------------------------------------------------------------------


def same(a: Metric, b: Metric, g: torch.Tensor) -> None:
    for f in ("direction", "norm", "dual"):
        assert_close(getattr(a, f)(g, NONE, T), getattr(b, f)(g, NONE, T))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Rows(INF), Sign()),
        (Columns(INF), Sign()),
        (Schatten(2.0), Frobenius()),
        (KyFan(1), Nuclear()),
        (KyFan(3), EXACT),
        (MatchRMS(EXACT, 1.0), shaped("max", EXACT)),
        (Weighted(Frobenius(), 12**-0.5), VectorRMS()),
        (Weighted(Sign(), 3.0), FanIn(Sign(), -1.0)),
        (Preconditioned(EXACT), EXACT),
        (Preconditioned(EXACT, 2 * torch.eye(4), 3 * torch.eye(3)), Weighted(EXACT, 6.0)),
    ],
    ids=str,
)
def test_two_names_of_one_norm(a, b):
    same(a, b, matrices()["apart"])


def test_schatten_between_nuclear_and_spectral():
    """Near p = 1 the leading pair alone moves, for large p all of them alike."""
    g = matrices()["apart"]
    assert_close(Schatten(1.01).direction(g, NONE, T), Nuclear().direction(g, NONE, T), rtol=0, atol=1e-9)
    assert_close(Schatten(1e4).direction(g, NONE, T), EXACT.direction(g, NONE, T), rtol=0, atol=1e-3)


def test_a_gain_is_a_diagonal_operator():
    """diag(g) from RMS to RMS has the norm max |g|: a gain's steepest direction is its sign."""
    g = torch.randn(5, dtype=torch.float64)
    operator = FanRatio(EXACT)
    assert_close(Sign().norm(g, NONE, T), operator.norm(g.diag(), NONE, T))
    assert_close(Sign().direction(g, NONE, T).diag(), operator.direction(g.diag(), NONE, T))


def test_the_norm_from_rms_to_rms_is_the_largest_stretch():
    """T-a.6: sqrt(n / m) sigma_1 = sup RMS(W x) / RMS(x)."""
    w = torch.randn(5, 3, dtype=torch.float64)
    x = torch.randn(3, 4000, dtype=torch.float64)
    x = torch.cat([x, torch.linalg.svd(w)[2][:1].mT], -1)
    stretch = (w @ x).square().mean(0).sqrt() / x.square().mean(0).sqrt()
    assert_close(stretch.max()[None], FanRatio(EXACT).norm(w, NONE, T))


def test_rows_of_embeddings_have_root_mean_square_one_and_heads_move_each_output_by_one():
    g = torch.randn(6, 4, dtype=torch.float64)
    rows = FanIn(Rows(2.0), 0.5).direction(g, NONE, T)
    assert_close(rows.square().mean(-1), torch.ones(6, dtype=torch.float64))
    head = FanIn(Rows(2.0), -0.5)
    w, x = head.direction(g, NONE, T), g[2] / g[2].square().mean().sqrt()
    assert_close((w @ x).abs().max(), torch.ones((), dtype=torch.float64))  # inputs of RMS 1 move an output by 1
    column = FanOut(Columns(2.0), 0.5).direction(g, NONE, T)
    assert_close(column, FanIn(Rows(2.0), 0.5).direction(g.mT, NONE, T).mT)


def test_rows_with_a_trace_of_momentum_do_not_jump():
    """The trap of embeddings: a row that was not touched for long is not blown up to a full step."""
    g = torch.ones(4, 2, dtype=torch.float64)
    g[3] *= 1e-9
    plain, careful = (Rows(2.0, floor).direction(g, NONE, T).norm(dim=-1) for floor in (0.0, 0.1))
    assert_close(plain, torch.ones(4, dtype=torch.float64))
    assert_close(careful[:3], plain[:3])
    assert careful[3] < 1e-7
    assert not Rows(2.0, 0.1).direction(torch.zeros(2, 2), NONE, T).any()


def test_scions_factor_of_convolutions():
    """sqrt(out / in) / k^2 on [out, in, k, k] and / k on [out, in, k]: that of FanRatio over sqrt(K)."""
    for kernel in ((3, 3), (5,)):
        conv, places = torch.randn(8, 2, *kernel, dtype=torch.float64), torch.Size(kernel).numel()
        scion = (8 / 2) ** 0.5 / places * EXACT.direction(conv.flatten(1), NONE, T)
        assert_close(Conv(EXACT).direction(conv, NONE, T).flatten(1), scion)
        assert_close(Weighted(FanRatio(EXACT), places**0.5).direction(conv.flatten(1), NONE, T), scion)


def test_a_convolution_of_norm_one_maps_rms_one_to_that_over_the_root_of_its_places_at_most():
    conv = torch.randn(4, 2, 3, 3, dtype=torch.float64)
    conv = conv / Conv(EXACT).norm(conv, NONE, T)
    x = torch.randn(1, 2, 40, 40, dtype=torch.float64)
    y = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (1, 1, 1, 1), "circular"), conv)
    assert y.square().mean().sqrt() <= x.square().mean().sqrt() / 3


def test_convolutions_of_groups_and_transposed_ones():
    g = torch.randn(6, 2, 3, 3, dtype=torch.float64)
    halves = [Conv(EXACT).direction(half, NONE, T) for half in g.split(3)]
    assert_close(Conv(EXACT, View(groups=2)).direction(g, NONE, T), torch.cat(halves))
    there = Conv(EXACT, View(out=1)).direction(g.transpose(0, 1), NONE, T)
    assert_close(there.transpose(0, 1), Conv(EXACT).direction(g, NONE, T))


@pytest.mark.parametrize("name", FACTORS)
def test_factors_by_name(name):
    """Table of shape factors: the root mean square of an update with an exact polar factor of full rank."""
    g = matrices(shape=(6, 3))["apart"]
    wanted = {"rms": 0.2, "keller": 3**-0.5, "spectral": 2**0.5 / 6**0.5, "max": 1.0, "exact": 0.2, "none": 6**-0.5}
    wanted["dual"] = 6.0 * 6**-0.5
    assert float(shaped(name, EXACT).direction(g, NONE, T).square().mean().sqrt()) == pytest.approx(wanted[name])


def test_an_exact_root_mean_square_is_exact_whatever_the_rank():
    for g in (*matrices().values(), torch.randn(3, 4, 3, dtype=torch.float64)):
        for base in (EXACT, Rows(1.0), Nuclear()):
            part, d = Exact(base, 0.7), base.direction(g, NONE, T)
            made = part.direction(g, NONE, T)
            assert_close(made.square().mean((-2, -1)).sqrt(), torch.full(g.shape[:-2], 0.7, dtype=torch.float64))
            assert_close(made * d.norm(dim=(-2, -1), keepdim=True), d * made.norm(dim=(-2, -1), keepdim=True))
            assert_close(part.norm(made, NONE, T), torch.ones(1, dtype=torch.float64))
    laws.nothing_has_no_direction(Exact(EXACT), torch.ones(2, 3))
    laws.signs_pass_through(Exact(EXACT), torch.randn(4, 2))
    laws.a_bundle_is_a_loop(Exact(EXACT), torch.randn(4, 2))


def test_own_dual_is_the_gradient_of_half_the_squared_dual_norm():
    g = matrices()["apart"].requires_grad_()
    (torch.linalg.matrix_norm(g, "nuc").square() / 2).backward()
    assert_close(OwnDual(EXACT).direction(g.detach(), NONE, T), g.grad)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Rows(0.5), "Invalid p"),
        (lambda: Columns(0.0), "Invalid p"),
        (lambda: Rows(2, -1.0), "Invalid floor"),
        (lambda: Schatten(1.0), "Nuclear"),
        (lambda: Schatten(INF), "Spectral"),
        (lambda: KyFan(0), "Invalid k"),
        (lambda: Weighted(Sign(), 0.0), "Invalid s"),
        (lambda: Exact(EXACT, -1.0), "Invalid rms"),
        (lambda: Preconditioned(Euclid()), "needs a fixed norm"),
        (lambda: Conv(Euclid()), "equal groups"),
        (lambda: shaped("rsm", EXACT), "choose one of"),
    ],
)
def test_wrong_numbers(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()


def test_words():
    assert str(Weighted(FanIn(Rows(2.0), -0.5), 4.0)) == "Weighted(FanIn(Rows(2.0), exponent=-0.5), 4.0)"
    assert "left, right" in str(left_and_right(2, 2))
    assert left_and_right(2, 2) != left_and_right(2, 2)


def test_no_metric_escapes_the_laws():
    """Every metric that `fallline.metrics` offers is named in a test that runs the laws of metrics."""
    folder = Path(__file__).parent
    texts = [file.read_text(encoding="utf-8") for file in (*folder.glob("*.py"), *folder.glob("zoo/*.py"))]
    examined = "\n".join(text for text in texts if re.search(r"laws(\.| import )metric", text))
    offered = (name for name in metrics.__all__ if _is_metric(getattr(metrics, name)))
    assert not [name for name in offered if not re.search(rf"\b{name}\(", examined)]


def _is_metric(x) -> bool:
    return isinstance(x, type) and issubclass(x, Metric) and not inspect.isabstract(x)
