"""Lifted trust regions: feasible, attaining, and beaten by nobody; against a solver too."""

from __future__ import annotations

import pytest
import torch

from fallline.theory import Autocorrelation, CostBall, EnergyBall, Filter, LagBall, OutputBall, recorded

from .test_autocorrelation import drawn

c = torch.tensor([0.5, 1.0, 3.0]).double()
BALLS = {
    "energy": (EnergyBall(2.0), lambda Q, R: Q.energy() / 2.0),
    "output": (OutputBall(2.0), lambda Q, R: Q.length(R) / 2.0),
    "cost": (CostBall(c, 2.0), lambda Q, R: Q.cost(c) / 2.0),
    "lag": (LagBall(2.0), lambda Q, R: torch.linalg.svdvals(Q.Q).max() / 2.0),
}
STREAMS = {"full": drawn(30, 3), "flat": drawn(30, 1) * torch.ones(3), "tiny": drawn(30, 3) * 1e-6}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("ball", BALLS)
def test_the_optimum_is_feasible_and_attains(ball: str, stream: str) -> None:
    region, size = BALLS[ball]
    R = recorded(STREAMS[stream], 4)
    Q = region.optimum(R)
    assert size(Q, R) <= 1 + 1e-9
    torch.testing.assert_close(Q.power(R), region.support(R))


@pytest.mark.parametrize("ball", BALLS)
def test_nobody_does_better(ball: str) -> None:
    """500 random filters of the region, scaled to its border, some of them close to the optimum."""
    region, size = BALLS[ball]
    R = recorded(STREAMS["full"], 4)
    best, shapes = region.optimum(R).Q, drawn(500, 4, 3, 3)
    for k, noise in enumerate(shapes):
        Q = noise if k % 2 else best + 0.1 * best.norm() * noise / noise.norm()
        Q = torch.diag_embed(Q.diagonal(dim1=-2, dim2=-1)) if ball == "cost" else Q
        power = size(Filter(Q), R)
        scale = power if ball == "lag" else power.sqrt()
        assert Filter(Q / scale).power(R) <= region.support(R) * (1 + 1e-9)


@pytest.mark.parametrize("ball", ["output", "lag", "energy"])
def test_a_solver_agrees(ball: str) -> None:
    cvxpy = pytest.importorskip("cvxpy")
    region, _ = BALLS[ball]
    R = recorded(drawn(30, 2), 3)
    row = cvxpy.Variable((2, 6))
    values, vectors = torch.linalg.eigh(R.blocks())
    root = (vectors * values.clamp(min=0).sqrt()).numpy()
    limits = {
        "energy": [cvxpy.norm(row, "fro") <= 2.0**0.5],
        "output": [cvxpy.norm(row @ root, "fro") <= 2.0**0.5],
        "lag": [cvxpy.sigma_max(row[:, 2 * k : 2 * k + 2]) <= 2.0 for k in range(3)],
    }
    found = cvxpy.Problem(cvxpy.Maximize(cvxpy.sum(cvxpy.multiply(row, torch.cat(list(R.R), 1).numpy()))), limits[ball])
    assert found.solve() == pytest.approx(float(region.support(R)), rel=1e-4)


def test_one_lag_is_the_stateless_theory() -> None:
    """Frobenius: R_0 / |R_0|; data metric: the identity."""
    R = Autocorrelation(recorded(drawn(30, 3), 4).R[:1])
    torch.testing.assert_close(EnergyBall().optimum(R).Q[0], R.R[0] / R.R[0].norm())
    torch.testing.assert_close(OutputBall().optimum(R).Q[0], torch.eye(3).double() / R.traces[0].sqrt())
