"""Scores: their bias and variance by formula and by simulation, and the validation gradient's optimum."""

from __future__ import annotations

import pytest
import torch

from fallline.theory import (
    Arma,
    Autocorrelation,
    EnergyBall,
    Filter,
    Score,
    convolve,
    cross,
    half_batches,
    later_batch,
    momentum,
    noise_power,
    recorded,
    same_batch,
)

from .test_autocorrelation import drawn

ROOT = torch.tensor([[1.0, 0.3, 0], [0, 0.8, -0.2], [0.1, 0, 0.5]]).double()
s = torch.tensor([0.5, -0.3, 0.8]).double()
q = momentum(0.7, 1.0, 12)
RUNS = 60_000


def halves() -> tuple[torch.Tensor, torch.Tensor]:
    """Two halves of RUNS batches, each with twice the covariance."""
    e = drawn(2, RUNS, len(q), 3) @ ROOT.T * 2**0.5
    return s + e[0], s + e[1]


def test_bias_and_variance_are_as_derived() -> None:
    """60 000 batches of 12 steps: means within 5 standard errors, variances within 4 %."""
    a, b = halves()
    score, g, D = Score(q, s, ROOT @ ROOT.T), (a + b) / 2, 0.25 * torch.eye(3).double()
    v = s + 0.5 * torch.randn(RUNS, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    u = torch.einsum("k,nkd->nd", q, g)
    seen = {
        "same": (same_batch(q, g), score.same_batch()),
        "later": (later_batch(q, g), score.later_batch()),
        "halves": (half_batches(q, a, b), score.half_batches()),
        "validation": ((v * u).sum(1), score.validation(D)),
    }
    for name, (x, (bias, variance)) in seen.items():
        assert abs(x.mean() - score.target() - bias) < 5 * (variance / RUNS) ** 0.5, name
        assert float(x.var()) == pytest.approx(variance, rel=0.04), name


def test_halves_are_the_same_batch_less_the_noise_power() -> None:
    """An identity, and its second term estimates tr C."""
    a, b = (x[:500] for x in halves())
    g = (a + b) / 2
    torch.testing.assert_close(half_batches(q, a, b), same_batch(q, g) - q[0] * noise_power(a[:, 0], b[:, 0]))
    a, b = halves()
    assert noise_power(a, b).mean() == pytest.approx(float((ROOT @ ROOT.T).trace()), rel=0.01)


def test_biases_hold_for_a_moving_signal() -> None:
    """s_n an AR(1): same batch + q_0 tr C, lags >= 1 - q_0 E|s|^2; 5 standard errors by batch means."""
    signal = Arma((0.9,), (), torch.eye(3)).stream(60_000, torch.Generator().manual_seed(3))
    g = signal + drawn(60_000, 3) @ ROOT.T
    a = q @ Arma((0.9,), (), torch.eye(3)).autocorrelation(len(q)).traces
    same = (g * convolve(q, g)).sum(1)
    later = same - q[0] * g.square().sum(1)
    power = 3 / (1 - 0.81)
    for x, bias in ((same, float((ROOT @ ROOT.T).trace())), (later, -power)):
        error = x.reshape(100, -1).mean(1).std() / 10
        assert abs(x.mean() - a - bias) < 5 * error


def test_the_validation_optimum_is_the_optimum_at_X() -> None:
    """No filter of the ball lowers the validation loss faster, and the training optimum does not attain it."""
    g = drawn(400, 3)
    v = 0.5 * g.roll(1, 0) + drawn(401, 3)[1:] * torch.tensor([1.0, 0, 0])
    X, R, ball = Autocorrelation(cross(v, g, 4)), Autocorrelation(cross(g, g, 4)), EnergyBall()
    best = ball.optimum(X)
    torch.testing.assert_close((v * best(g)).sum(1).mean(), ball.support(X))
    assert ball.optimum(R).power(X) < 0.9 * ball.support(X)
    others = drawn(2000, 4, 3, 3)
    assert all(Filter(Q / Q.norm()).power(X) <= ball.support(X) for Q in others[:200])


def test_training_on_the_validation_set_changes_nothing() -> None:
    """v = g: X = R."""
    g = drawn(50, 3)
    torch.testing.assert_close(cross(g, g, 5), recorded(g, 5).R)
