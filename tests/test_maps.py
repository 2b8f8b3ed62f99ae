"""Every map through the laws of maps, and what each says of itself."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from fallline import (
    Cautious,
    Chain,
    Clamp,
    Cosh,
    ElementMoment,
    Euclid,
    Foresight,
    GradientSign,
    Rms,
    RowColScale,
    RowMoment,
    SecondMoment,
    Sign,
    SlotError,
    Through,
    TopAligned,
    Variance,
)
from fallline.core.memory import Memory
from fallline.maps.clamp import quantile
from laws.map import LAWS, T, mapped, scale_passes_through_as_stated

DEGREES = {
    Clamp(0.8, eps=0.0): 1,
    Cosh(): 1,
    Rms(0.2): 0,
    RowMoment(0.9, eps=1e-30): 1,
    ElementMoment(0.9, eps=1e-30): 0,
    Variance(0.9, eps=1e-30): 0,
    RowColScale("rows"): 0,
    RowColScale("columns", p=1.0): 0,
    RowColScale("rows", p=float("inf"), exponent=0.5): 0.5,
    RowColScale("together"): -1,
    RowColScale("together", exponent=0.5): 0,
    RowColScale("rows first", sweeps=3): 0,
    RowColScale("columns first"): 0,
    Through(Sign()): 0,
    Through(SecondMoment(0.9, 1e-30)): 0,
    Chain(ElementMoment(0.9, eps=1e-30), Rms(0.2)): 0,
}
FORESIGHT = Foresight(Euclid(), 0.9, 3)
MASKS = {Cautious(): 1, GradientSign(): 1, TopAligned(0.3): 1}  # which count over a whole tensor


def matrix(m: int = 6, n: int = 4) -> torch.Tensor:
    return torch.randn(m, n, dtype=torch.float64)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", DEGREES, ids=str)
def test_law(part, law):
    for x in (matrix(), matrix(4, 6)):
        law(part, x)


@pytest.mark.parametrize("law", [law for law in LAWS if "stack" not in law.__name__], ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", [*MASKS, FORESIGHT], ids=str)
def test_law_of_masks(part, law):
    for x in (matrix(), matrix(4, 6)):
        law(part, x)


@pytest.mark.parametrize("part", MASKS, ids=str)
def test_what_goes_through_a_mask_is_not_against_the_gradient_or_less_so(part):
    """<d, g> grows; of cautious and Grams no coordinate is against it, and cautious keeps norm_1 over what it moves."""
    d, g, none = matrix(30, 20), matrix(30, 20), Memory({})
    y = part.beside(d, g, none, T)
    assert (y * g).sum() > (d * g).sum()
    if not isinstance(part, TopAligned):
        assert (y * g >= 0).all()
    if isinstance(part, Cautious):
        moved = d * g > 0
        assert_close(y[moved], d[moved] / moved.double().mean())
        far = part.beside(d, -d * (torch.arange(600).view(30, 20) > 0), none, T)  # nobody agrees: the floor
        assert not far.any()


def test_a_mask_is_not_hidden_in_a_chain():
    with pytest.raises(SlotError, match="a slot of its own"):
        Chain(Cautious(), Rms())


@pytest.mark.parametrize(("part", "degree"), (DEGREES | MASKS).items(), ids=str)
def test_scale(part, degree):
    scale_passes_through_as_stated(part, matrix(), degree)


@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_quantile_is_torchs(q, n):
    x = torch.randn(3, n, dtype=torch.float64)
    for y in (x, x.round()):
        assert_close(quantile(y, q), torch.quantile(y, q, dim=-1))


def test_what_soft_thresholding_leaves_is_the_clamp():
    """T-g.2."""
    x = matrix(20, 30)
    e = torch.quantile(x.abs(), 0.9) + 1e-9
    assert_close(mapped(Clamp(0.9), x), x - x.sign() * (x.abs() - e).clamp_min(0))


def test_clamp_keeps_a_matrix_of_mostly_zeros():
    x = torch.zeros(10, 10)
    x[0, 0] = 5.0
    assert mapped(Clamp(0.9), x)[0, 0] > 0


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_one_side_scaled_with_exponent_one_is_of_unit_length(order):
    """T-l.2: rows alone is RMNP."""
    side = -1 if order == "rows" else -2
    assert_close(mapped(RowColScale(order), matrix()).norm(dim=side), torch.ones_like(matrix().norm(dim=side)))


def test_a_balanced_matrix_keeps_its_direction():
    """T-l.3: equal row norms and equal column norms make both-sided scaling a number."""
    q = torch.linalg.qr(matrix(8, 8)).Q
    assert_close(mapped(RowColScale("together", exponent=0.5), 3 * q), 3 * q / 3.0)


def test_many_sweeps_balance_both_sides_and_forget_diagonals():
    """T-l.1: only the converged scaling is invariant under positive diagonals."""
    x, left, right = matrix(), torch.rand(6, 1).double() + 0.5, torch.rand(4).double() + 0.5
    sinkhorn = RowColScale("rows first", sweeps=200)
    assert_close(mapped(sinkhorn, left * x * right), mapped(sinkhorn, x))
    once = RowColScale("together", exponent=0.5)
    assert (mapped(once, left * x * right) - mapped(once, x)).abs().max() > 1e-2


def test_row_moment_keeps_the_norm_and_without_memory_evens_out_the_rows():
    """T-i.1, T-i.3 and T-i.4."""
    x = matrix(9, 4)
    even = mapped(RowMoment(0.0), x)
    assert_close(even.norm(dim=1), even.norm(dim=1)[:1].expand(9))
    for beta in (0.0, 0.5, 0.99):
        assert_close(mapped(RowMoment(beta, 1e-30), x).norm(), x.norm())
        assert_close(mapped(RowMoment(beta, 1e-30), x), even)  # the first step does not know beta


def test_cosh_is_nearly_one():
    """T-e.1: 1 <= r <= sqrt(1 + (cosh(gamma)^2 - 1) / N), reached by a single entry."""
    for n in (2, 64):
        worst = torch.zeros(n, n, dtype=torch.float64)
        worst[0, 0] = 7.0
        bound = (1 + (torch.tensor(1.5).double().cosh() ** 2 - 1) / n**2).sqrt()
        assert_close(Cosh().contraction(worst)[0, 0], bound)
        assert 1 <= Cosh().contraction(matrix(n, n)) <= bound
    assert Cosh().contraction(matrix(64, 64)) - 1 == pytest.approx(1.5**2 / (2 * 64**2), rel=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Clamp(1.5),
        lambda: Rms(0.0),
        lambda: RowMoment(1.0),
        lambda: ElementMoment(0.9, -1.0),
        lambda: RowColScale("diagonal"),
        lambda: RowColScale(p=0.5),
        lambda: RowColScale(sweeps=0),
        lambda: Cautious(0.0),
        lambda: Foresight(Euclid(), 1.0),
        lambda: TopAligned(1.5),
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="Invalid"):
        wrong()


def test_through_wants_a_metric():
    with pytest.raises(SlotError, match="needs a Metric"):
        Through(Rms())
