"""Filters: <Q, R> is the mean alignment of what the filter puts out, and its sizes are what they say."""

from __future__ import annotations

import torch

from fallline.theory import Arma, Filter, convolve, coordinatewise, pay, recorded, scalar

from .test_autocorrelation import C, drawn


def test_power_is_mean_alignment() -> None:
    """For matrices that do not commute and a run, exactly."""
    g, Q = drawn(40, 3), Filter(drawn(5, 3, 3))
    torch.testing.assert_close(Q.power(recorded(g, 5)), (g * Q(g)).sum(1).mean())


def test_length_is_mean_square() -> None:
    """E|u|^2 from the blocks, against a long run of a model; the mean of 40 000 correlated squares is good to 5 %."""
    model, Q = Arma((0.6,), (), C), Filter(drawn(4, 2, 2))
    u = Q(model.stream(40_000, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(Q.length(model.autocorrelation(4)), u.square().sum(1).mean(), rtol=0.05, atol=0)


def test_scalars_and_diagonals_are_filters() -> None:
    g, q = drawn(20, 3), drawn(4)
    torch.testing.assert_close(scalar(q, 3)(g), convolve(q, g))
    torch.testing.assert_close(scalar(q, 3).energy(), 3 * q.square().sum())
    c = torch.tensor([1.0, 2.0, 3.0]).double()
    torch.testing.assert_close(coordinatewise(q[:, None] / c).cost(c), q.square().sum() * (1 / c).sum())


def test_pay_is_free_of_scale() -> None:
    q, r = drawn(3, 6), drawn(6)
    torch.testing.assert_close(pay(q, r), pay(7.0 * q, r))
