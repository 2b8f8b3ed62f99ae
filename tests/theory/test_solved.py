"""A convex solver maximises tr(Q S) within each region's own words, and finds what the closed forms say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fallline.theory import Data, Diagonal, Frobenius, Intersection, Product, Region, Spectral, rooted
from laws import region as laws

cvxpy = pytest.importorskip("cvxpy")

N = 4
MOMENTS = laws.moments(N)
FULL = laws.turn(torch.tensor([3.0, 1.0, 0.5, 0.1]).double(), 9)
C = torch.tensor([0.1, 1.0, 2.0, 30.0]).double()
Bounds = Callable[[Any], list[Any]]


def solved(S: Tensor, bounds: Bounds) -> float:
    """max tr(Q S) over PSD Q within bounds, S brought to scale 1 for the solver and back."""
    scale = float(S.norm())
    Q = cvxpy.Variable(S.shape, PSD=True)
    problem = cvxpy.Problem(cvxpy.Maximize(cvxpy.trace(Q @ (S / scale).numpy())), bounds(Q))
    return scale * problem.solve(solver=cvxpy.CLARABEL)


SOLVED: dict[str, tuple[Region, Bounds]] = {
    "Frobenius": (Frobenius(2.5), lambda Q: [cvxpy.norm(Q, "fro") <= 2.5**0.5]),
    "Spectral": (Spectral(2.0, 5.0), lambda Q: [cvxpy.lambda_max(Q) <= 2, cvxpy.trace(Q) <= 5]),
    "Data": (Data(FULL, 0.3), lambda Q: [cvxpy.sum_squares(Q @ rooted(FULL, 0.5).numpy()) <= 0.3]),
    "Diagonal": (
        Diagonal(C, 7.0),
        lambda Q: [
            Q == cvxpy.diag(cvxpy.diag(Q)),
            cvxpy.norm(cvxpy.multiply(C.sqrt().numpy(), cvxpy.diag(Q))) <= 7**0.5,
        ],
    ),
    "capped": (
        Intersection((Frobenius(2.5), Spectral(1.0, 2.0))),
        lambda Q: [cvxpy.norm(Q, "fro") <= 2.5**0.5, cvxpy.lambda_max(Q) <= 1, cvxpy.trace(Q) <= 2],
    ),
    "layers": (
        Product((Frobenius(2.0), Spectral(1.0, 1.5)), (2, 2)),
        lambda Q: [
            Q[:2, 2:] == 0,
            cvxpy.norm(Q[:2, :2], "fro") <= 2**0.5,
            cvxpy.lambda_max(Q[2:, 2:]) <= 1,
            cvxpy.trace(Q[2:, 2:]) <= 1.5,
        ],
    ),
}


@pytest.mark.parametrize("kind", ["repeated", "of deficient rank", "of rank one", "tiny", "huge"])
@pytest.mark.parametrize("name", SOLVED)
def test_a_solver_finds_nothing_better(name: str, kind: str) -> None:
    region, bounds = SOLVED[name]
    assert solved(MOMENTS[kind], bounds) == pytest.approx(float(region.support(MOMENTS[kind])), rel=1e-4)
