"""Norms, their products and their steps against a convex solver that knows nothing of dual maps.

cvxpy is among the test packages where it runs (Python 3.11 on); elsewhere these tests are skipped, and brute force in
two dimensions (test_metrics.py) is what remains. Schatten norms between 1 and infinity are no cone that it knows.
"""

from __future__ import annotations

import pytest
import torch

from fallline import (
    SVD,
    Columns,
    Decoupled,
    Descent,
    DualNorm,
    FanIn,
    FanOut,
    FanRatio,
    Frobenius,
    Identity,
    KyFan,
    LargestDual,
    Nuclear,
    Preconditioned,
    Rows,
    Rule,
    Sign,
    Spectral,
    VectorRMS,
    Weighted,
)
from fallline.core.memory import Memory
from laws.metric import T

cp = pytest.importorskip("cvxpy", reason="cvxpy is not installed")

INF = float("inf")
NONE = Memory({})
EXACT = Spectral(SVD())
M, N = 3, 2
LEFT, RIGHT = torch.tensor([[2.0, 1, 0], [0, 1, 0], [1, 0, 3]]).double(), torch.tensor([[1.0, 0.5], [0, 2]]).double()


def rows(x, p):
    return cp.norm(cp.hstack([cp.norm(x[i, :], p) for i in range(x.shape[0])]), "inf")


def largest(x):
    return cp.max(cp.abs(x))


NORMS = [
    (Frobenius(), lambda x: cp.norm(x, "fro")),
    (VectorRMS(), lambda x: cp.norm(x, "fro") / (M * N) ** 0.5),
    (Sign(), largest),
    (Rows(1.0), lambda x: rows(x, 1)),
    (Rows(2.0), lambda x: rows(x, 2)),
    (Rows(3.0), lambda x: rows(x, 3)),
    (Rows(INF), largest),
    (FanIn(Rows(2.0), 0.5), lambda x: rows(x, 2) / N**0.5),
    (FanIn(Rows(2.0), -0.5), lambda x: rows(x, 2) * N**0.5),
    (Columns(2.0), lambda x: rows(x.T, 2)),
    (Columns(1.5), lambda x: rows(x.T, 1.5)),
    (FanOut(Columns(2.0), 0.5), lambda x: rows(x.T, 2) / M**0.5),
    (EXACT, cp.sigma_max),
    (FanRatio(EXACT), lambda x: (N / M) ** 0.5 * cp.sigma_max(x)),
    (Nuclear(), cp.normNuc),
    (KyFan(1), cp.normNuc),
    (Preconditioned(EXACT, LEFT, RIGHT), lambda x: cp.sigma_max(LEFT.numpy() @ x @ RIGHT.numpy())),
    (Weighted(Frobenius(), 4.0), lambda x: 4 * cp.norm(x, "fro")),
]


def gradient(m: int = M, n: int = N, seed: int = 3) -> torch.Tensor:
    return torch.randn(m, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def pairing(g, x):
    return cp.sum(cp.multiply(g.numpy(), x))


@pytest.mark.parametrize(("part", "norm"), NORMS, ids=[str(part) for part, _ in NORMS])
def test_dual_norm_and_direction(part, norm):
    """max <G, X> over N(X) <= 1 has the value and, where there is but one, the place that the part says."""
    g, x = gradient(), cp.Variable((M, N))
    best = cp.Problem(cp.Maximize(pairing(g, x)), [norm(x) <= 1]).solve(solver="CLARABEL")
    assert best == pytest.approx(float(part.dual(g, NONE, T)), rel=1e-5)
    assert torch.from_numpy(x.value).sub(part.direction(g, NONE, T)).abs().max() < 2e-3


def test_ky_fan_with_a_rank_between():
    part, g, x = KyFan(2), gradient(3, 3), cp.Variable((3, 3))
    limits = [cp.sigma_max(x) <= 1, cp.normNuc(x) <= 2]
    best = cp.Problem(cp.Maximize(pairing(g, x)), limits).solve(solver="CLARABEL")
    assert best == pytest.approx(float(part.dual(g, NONE, T)), rel=1e-5)
    assert torch.from_numpy(x.value).sub(part.direction(g, NONE, T)).abs().max() < 2e-3


@pytest.mark.parametrize(("step", "aggregate"), [(DualNorm(), cp.maximum), (LargestDual(), lambda *each: sum(each))])
def test_the_step_solves_the_joint_problem(step, aggregate):
    """T-a.4: all layers together move as  argmin sum <G_l, X_l> + (max_l or sum_l s_l N_l(X_l))^2 / (2 lr)  says."""
    lr, gs = 0.3, [gradient(), gradient(2, 2, 5), gradient(1, 3, 6)]
    xs = [cp.Variable(tuple(g.shape)) for g in gs]
    metrics = (EXACT, Weighted(Frobenius(), 1.5), Weighted(Sign(), 0.8))
    size = aggregate(cp.sigma_max(xs[0]), 1.5 * cp.norm(xs[1], "fro"), 0.8 * largest(xs[2]))
    loss = sum(pairing(g, x) for g, x in zip(gs, xs, strict=True)) + cp.square(size) / (2 * lr)
    value = cp.Problem(cp.Minimize(loss)).solve(solver="CLARABEL")
    params = [torch.nn.Parameter(torch.zeros_like(g)) for g in gs]
    rules = iter([Rule(Identity(), metric, step, Decoupled(0.0)) for metric in metrics])
    opts = [Layers([{"params": [p]} for p in params], list(rules), lr)]
    for p, g in zip(params, gs, strict=True):
        p.grad = g
    opts[0].step()
    for p, x in zip(params, xs, strict=True):
        assert torch.from_numpy(x.value).sub(p.detach()).abs().max() < 2e-3
    duals = torch.cat([metric.dual(g, NONE, T) for metric, g in zip(metrics, gs, strict=True)])
    won = duals.sum() if isinstance(step, DualNorm) else duals.max()
    assert value == pytest.approx(float(-lr * won.square() / 2), rel=1e-5)


class Layers(Descent):
    """A rule for each group."""

    def __init__(self, groups, rules, lr):
        self.rules = rules
        super().__init__([{**group, "layer": i} for i, group in enumerate(groups)], lr=lr, defaults={"layer": 0})

    def sentence(self, group):
        return self.rules[group["layer"]]
