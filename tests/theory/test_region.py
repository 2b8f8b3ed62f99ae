"""The theorem for all regions, on moments of stated rank, spectrum and scale; brute force in 2-D."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.theory import (
    Data,
    Diagonal,
    Frobenius,
    Intersection,
    Kronecker,
    Product,
    Region,
    Spectral,
    costs,
    pairing,
    rooted,
)
from laws import region as laws

N = 4
MOMENTS = laws.moments(N)
FULL = laws.turn(torch.tensor([3.0, 1.0, 0.5, 0.1]).double(), 9)  # some other task's moment
C = torch.tensor([0.1, 1.0, 2.0, 30.0]).double()
REGIONS: dict[str, Region] = {
    "Frobenius": Frobenius(2.5),
    "Spectral, all of it": Spectral(0.7),
    "Spectral, two and a half": Spectral(2.0, 5.0),
    "Spectral, less than one": Spectral(3.0, 1.0),
    "Data of another task": Data(FULL, 0.3),
    "AdaGrad of another task": Data(rooted(FULL, 1.5)),
    "Diagonal": Diagonal(C, 7.0),
    "layers": Product((Frobenius(2.0), Spectral(1.0, 1.5)), (1, 3)),
    "layers with one budget": Product((Frobenius(2.0), Diagonal(C[:2])), (2, 2), p=2),
    "layers that compete": Product((Frobenius(0.2), Spectral(1.0, 1.5)), (2, 2), p=1),
    "Kronecker": Kronecker(FULL[:2, :2], torch.eye(2).double(), 3.0),
    "capped Frobenius": Intersection((Frobenius(2.5), Spectral(1.0, 2.0)), gap=1e-9),
    "capped Diagonal": Intersection((Diagonal(C.sqrt(), 7.0), Spectral(1.0, 2.0)), gap=1e-9),
}


@pytest.mark.parametrize("law", laws.LAWS)
@pytest.mark.parametrize("name", REGIONS)
def test_law(name: str, law: Callable[[Region, Tensor], None]) -> None:
    for kind, S in MOMENTS.items():
        if "capped" not in name or kind == "repeated":  # those are solved, not looked up
            law(REGIONS[name], S)


@pytest.mark.parametrize("kind", MOMENTS)
def test_a_region_made_of_its_own_moment(kind: str) -> None:
    S = MOMENTS[kind]
    for region in (Data(S, 0.3), Data(rooted(S, 1.5)), Diagonal(costs(S, 0.5)), Diagonal(costs(S, 0.0))):
        laws.the_optimum_is_in_the_region(region, S)
        laws.the_optimum_attains_the_support(region, S)
        laws.the_support_is_the_gauge_of_the_polar(region, S)


@pytest.mark.parametrize("kind", MOMENTS)
def test_what_turns_with_the_gradient(kind: str) -> None:
    S, U = MOMENTS[kind], laws.orthogonal(N, 77)
    same: list[Callable[[Tensor], Region]] = [lambda S: Frobenius(), lambda S: Spectral(1.0, 2.5), Data]
    for region in same:
        laws.turns_with(region, S, U)
    laws.turns_with(lambda S: Diagonal(costs(S)), S, torch.eye(N).double()[[2, 0, 3, 1]])


def test_a_diagonal_region_does_not_turn() -> None:
    S, U = MOMENTS["apart"], laws.orthogonal(N, 77)
    with pytest.raises(AssertionError):
        laws.turns_with(lambda S: Diagonal(costs(S)), S, U)


# --- brute force ------------------------------------------------------------------------------------------------------


def plane(steps: int = 40) -> Tensor:
    """PSD 2 x 2 matrices of norm 1 or so: eigenvalues (1, r), turned by all angles."""
    r = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    a = torch.linspace(0, torch.pi, 2 * steps + 1, dtype=torch.float64)
    v, w = torch.stack([a.cos(), a.sin()], -1), torch.stack([-a.sin(), a.cos()], -1)
    first, second = (torch.einsum("ai,aj->aij", x, x) for x in (v, w))
    return (first[:, None] + r[:, None, None] * second[:, None]).reshape(-1, 2, 2)


FLAT = {
    "Frobenius": Frobenius(2.5),
    "Spectral": Spectral(1.0, 1.4),
    "Data": Data(laws.turn(torch.tensor([3.0, 0.5]).double(), 3)),
    "capped": Intersection((Frobenius(1.5), Spectral(1.0))),
}


@pytest.mark.parametrize("name", FLAT)
def test_the_support_is_the_conjugate_of_the_indicator(name: str) -> None:
    """max over a grid of members, and nothing above it."""
    region, grid = FLAT[name], plane(10)
    stretched = torch.stack([Q / region.gauge(Q) for Q in grid])
    for S in plane(1 if name == "capped" else 2):
        best = (stretched * S).sum((1, 2)).max()
        assert 0.97 * region.support(S) <= best <= (1 + 1e-7) * region.support(S)


@pytest.mark.parametrize("name", ["Frobenius", "Spectral"])
def test_the_gauge_is_the_conjugate_of_the_support(name: str) -> None:
    """Back again: gauge(Q) = max tr(Q S) over S with support(S) <= 1. PSD S are enough for these regions."""
    region, grid = FLAT[name], plane(10)
    short = torch.stack([S / region.support(S) for S in grid])
    for Q in plane(2):
        best = (short * Q).sum((1, 2)).max()
        assert 0.97 * region.gauge(Q) <= best <= (1 + 1e-7) * region.gauge(Q)


@pytest.mark.parametrize(
    "name", ["Frobenius", "Data of another task", "Diagonal", "Kronecker", "layers with one budget"]
)
def test_the_optimum_is_the_gradient_where_the_region_is_round(name: str) -> None:
    """d support / d S = Q*, by differences."""
    region, S = REGIONS[name], MOMENTS["apart"]
    for seed in range(4):
        E = 1e-5 * laws.turn(torch.randn(N, dtype=torch.float64), seed)
        slope = (region.support(S + E) - region.support(S - E)) / 2
        assert_close(slope, pairing(region.optimum(S), E), rtol=1e-4, atol=1e-10)


# --- what cannot be asked ---------------------------------------------------------------------------------------------


def test_an_unbounded_region_says_so() -> None:
    blind = Data(torch.diag(torch.tensor([1.0, 0.0]).double()))
    S = torch.eye(2).double()
    assert blind.support(S).isinf() and blind.polar_gauge(S).isinf()
    with pytest.raises(ValueError, match="no operator is the best"):
        blind.optimum(S)
    with pytest.raises(ValueError, match="negative eigenvalue"):
        blind.support(-S)


def test_a_factor_without_cost_says_so() -> None:
    free = Kronecker(torch.diag(torch.tensor([1.0, 0.0]).double()), torch.eye(2).double())
    S = torch.diag(torch.tensor([1.0, 2.0, 0.0, 0.0]).double())
    laws.the_optimum_is_in_the_region(free, S)
    laws.the_support_is_the_gauge_of_the_polar(free, S)
    assert free.support(torch.eye(4).double()).isinf() and free.polar_gauge(torch.eye(4).double()).isinf()
    with pytest.raises(ValueError, match="no operator is the best"):
        free.optimum(torch.eye(4).double())


@pytest.mark.parametrize("name", [name for name in REGIONS if name != "Kronecker"])
def test_regions_are_convex(name: str) -> None:
    """gauge(a + b) <= gauge(a) + gauge(b)."""
    found = laws.members(REGIONS[name], N)
    for a, b in itertools.pairwise(found):
        assert REGIONS[name].gauge(a + 0.3 * b) <= 1.3 * (1 + 1e-9)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="one square matrix"):
        Frobenius().support(torch.ones(2, 3))
    with pytest.raises(ValueError, match="3 coordinates together"):
        Product((Frobenius(), Frobenius()), (1, 2)).support(torch.eye(4).double())


def test_an_intersection_that_has_no_time_says_so() -> None:
    hurried = Intersection((Frobenius(2.5), Spectral(1.0, 2.0)), gap=1e-15, most=40)
    with pytest.raises(RuntimeError, match="raise most or gap"):
        hurried.support(MOMENTS["apart"])


def test_projections_are_nearest() -> None:
    """<Q - P Q, X - P Q> <= 0 for every member X."""
    for region, seed in itertools.product((Frobenius(), Spectral(0.8, 1.5), Diagonal(C)), range(5)):
        Q = 2 * laws.turn(torch.randn(N, dtype=torch.float64), seed)
        P = region.project(Q)
        assert region.contains(P)
        for X in laws.members(region, N):
            assert pairing(Q - P, X - P) <= 1e-9
