"""Selectors: their laws on random statistics, and what they choose on streams whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from fallline import SGD, Cone, Greedy, Span
from laws.selector import LAWS, fresh, paid
from sampler import autocorrelated

SELECTORS = (Greedy(), Cone(), Span())


def statistics(seed: int, scopes: int = 6, k: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Random alignments of both signs, and well-conditioned Gram matrices."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(scopes, k, 2 * k, generator=generator, dtype=torch.float64)
    alignment = torch.randn(scopes, k, generator=generator, dtype=torch.float64)
    alignment[:, 0] = alignment[:, 0].abs()  # something pays
    return alignment, root @ root.mT


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", SELECTORS, ids=str)
def test_law(part, law):
    for seed in range(5):
        law(part, *statistics(seed))


def test_span_is_the_best_mixture_and_cone_the_best_non_negative_one():
    """Against brute force over many random mixtures."""
    alignment, power = statistics(11)
    mixtures = torch.randn(4000, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for part, tried in ((Span(), mixtures), (Cone(), mixtures.abs())):
        reached = (tried * alignment).sum(-1) / torch.einsum("fsi,sij,fsj->fs", tried, power, tried).sqrt()
        assert (paid(part, alignment, power) >= reached.amax(0) - 1e-9).all()


def test_where_nothing_pays_the_cone_loses_least():
    alignment = torch.tensor([[-3.0, -1.0]], dtype=torch.float64)
    assert Cone().choose(alignment, torch.eye(2).double()[None], fresh(Cone(), 1, 2)).tolist() == [[0.0, 1.0]]


def test_equal_filters_are_a_tie_and_a_tie_changes_nothing():
    """At the first step all candidates hold the same thing: rounding must not choose."""
    part, mem = Greedy(), fresh(Greedy(), 1, 3)
    weights = part.choose(torch.tensor([[1.0, 1.0 + 1e-9, 1.0]]).double(), torch.ones(1, 3, 3).double(), mem)
    assert weights.tolist() == [[1.0, 0.0, 0.0]] and mem.switches.item() == 0


def test_hysteresis_waits_for_a_steady_lead():
    part, mem = Greedy(hysteresis=3), fresh(Greedy(), 1, 2)
    leader = (1, 1, 0, 1, 1, 1, 0)
    power = torch.eye(2).double()[None]
    chosen = [part.choose(torch.eye(2).double()[[k]], power, mem).argmax().item() for k in leader]
    assert chosen == [0, 0, 0, 0, 0, 1, 1]


def test_smoothing_is_an_unbiased_average():
    part, mem = Greedy(smoothing=0.5), fresh(Greedy(), 1, 2)
    for a in ([[1.0, 0.0]], [[0.0, 3.0]]):
        part.choose(torch.tensor(a).double(), torch.eye(2).double()[None], mem)
    assert_close(mem.pay, torch.tensor([[1 / 3, 2.0]]).double())


def test_overflow_says_nothing():
    part, mem = Greedy(), fresh(Greedy(), 1, 2)
    part.choose(torch.tensor([[0.0, 1.0]]).double(), torch.eye(2).double()[None], mem)
    part.choose(torch.tensor([[torch.inf, torch.nan]]).double(), torch.eye(2).double()[None], mem)
    assert mem.choice.item() == 1 and mem.pay.tolist() == [[0.0, 1.0]]


BANK = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
# White part a, autocorrelated part b rho^n -> the score J of each candidate, and the winners with and without lag 0.
STREAMS = (
    ((1, 0, 0.5), (1, 0.866, 0.6, 0.4359, 0.3122, 0.1411), 0.0, None),
    ((0, 1, 0.9), (1, 1.5746, 2.1429, 2.2942, 2.1534, 1.2942), 0.9, 0.9),
    ((1, 1, 0.9), (2, 2.4406, 2.7429, 2.7300, 2.4657, 1.4353), 0.8, 0.9),
    ((1, 0.2, 0.9), (1.2, 1.1809, 1.0286, 0.8947, 0.7429, 0.3999), 0.0, 0.9),
    ((1, 0.05, 0.99), (1.05, 0.9518, 0.7442, 0.6358, 0.5746, 0.4955), 0.0, 0.99),
    ((1, 1, 0.99), (2, 2.5809, 3.4846, 4.4349, 5.5601, 7.2299), 0.99, 0.99),
    ((0, 1, -0.4), (1, 0.7217, 0.4545, 0.3205, 0.2263, 0.1011), 0.0, 0.0),
)


def listen(stream: torch.Tensor, selector: Greedy) -> dict:
    """What an optimizer with a full bank says of a gradient stream at its end."""
    p = torch.nn.Parameter(torch.zeros_like(stream[0]))
    opt = SGD([p], lr=0.0, momentum=BANK, bank="full", selector=selector)
    for g in stream:
        p.grad = g.clone()
        opt.step()
    return opt.report()["groups"][0]


@pytest.mark.parametrize(("told", "scores", "same", "held_out"), STREAMS, ids=str)
def test_a_stream_with_known_autocorrelation_is_heard_to_four_digits(told, scores, same, held_out):
    stream = autocorrelated(*told, steps=600)
    heard = listen(stream, Greedy())
    assert_close(torch.tensor(heard["pay"]), torch.tensor(scores, dtype=torch.float64).float(), atol=6e-5, rtol=1e-4)
    assert heard["momentum"] == same
    if held_out is not None:
        assert listen(stream, Greedy(score="held-out"))["momentum"] == held_out
