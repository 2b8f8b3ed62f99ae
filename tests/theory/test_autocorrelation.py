"""Autocorrelation operators: recorded against models, and models against long runs."""

from __future__ import annotations

import pytest
import torch

from fallline.theory import Arma, Autocorrelation, convolve, noisy, recorded, scalar, traces

C = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
MODELS = [((), ()), ((0.8,), ()), ((), (0.5, -0.3)), ((0.5, 0.3), (0.4,)), ((-0.4,), ())]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("ar", "ma"), MODELS)
def test_a_model_and_its_stream_agree(ar, ma) -> None:
    """40 000 steps: the largest error is within six of its own standard errors, roughly tr R_0 sqrt(time / T)."""
    model = Arma(ar, ma, C)
    stream = model.stream(40_000, torch.Generator().manual_seed(0))
    seen, known = recorded(stream, 6), model.autocorrelation(6)
    assert (seen.R - known.R).abs().max() < 6 * known.traces[0] * (10 / len(stream)) ** 0.5


def test_ar_is_known_in_closed_form() -> None:
    """R_k = C rho^k / (1 - rho^2)."""
    R = Arma((0.9,), (), C).autocorrelation(5).R
    torch.testing.assert_close(R, C * (0.9 ** torch.arange(5).double() / (1 - 0.81))[:, None, None])


def test_signal_and_noise_is_an_arma() -> None:
    """AR(1) in white noise has r_0 = a + b, r_k = b rho^k, and is an ARMA(1, 1): r_2 / r_1 = rho."""
    r = noisy(1.0, 2.0, 0.7, 9)
    assert r[0] == 3 and torch.allclose(r[2:] / r[1:-1], torch.tensor(0.7).double())
    model = Arma((0.7,), (-0.3,), torch.eye(1)).autocorrelation(9).traces
    torch.testing.assert_close(model[2:] / model[1:-1], r[2:] / r[1:-1])


def test_recorded_is_the_runs_mean_alignment() -> None:
    """<q, r> = (1 / T) sum_n <g_n, u_n>, exactly, with an empty memory at first."""
    g, q = drawn(50, 3), drawn(7)
    mean = (g * convolve(q, g)).sum(1).mean()
    torch.testing.assert_close(q @ traces(g, 7), mean)
    torch.testing.assert_close(scalar(q, 3).power(recorded(g, 7)), mean)
    torch.testing.assert_close(recorded(g, 7).traces, traces(g, 7))


def test_blocks_are_positive_and_in_place() -> None:
    """E[G G^T] of the stacked gradients: symmetric, PSD even for a short run."""
    for R in (recorded(drawn(9, 3), 8), Arma((0.5, 0.3), (0.4,), C).autocorrelation(6)):
        T = R.blocks()
        torch.testing.assert_close(T, T.T)
        assert torch.linalg.eigvalsh(T).min() > -1e-12 * T.norm()
        d = R.R.shape[1]
        assert torch.equal(T[:d, d : 2 * d], R.R[1]) and torch.equal(T[2 * d : 3 * d, d : 2 * d], R.R[1].T)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match="unit circle"):
        Arma((1.0,), (), C)
    with pytest.raises(ValueError, match="square matrix for each lag"):
        Autocorrelation(torch.eye(2))
    with pytest.raises(ValueError, match="at least 9 steps"):
        traces(torch.ones(3, 2), 9)
