"""The probe: a sample that is spread fairly, agrees with the full bank on real gradients, and costs next to nothing."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest
import torch
from torch import nn

from fallline import AdamW, Greedy
from fallline.race.registry import WORKLOADS
from fallline.statistics.sample import sample

BANK = ("auto", 0.999)
SEEDS = (0, 1, 2)


@pytest.mark.parametrize("n", (*range(1, 130), 512, 4096, 10**5, 2**20))
def test_a_sample_names_each_coordinate_once_and_enough_of_them(n):
    picked = sample(torch.arange(n))
    assert picked.unique().numel() == picked.numel()
    assert min(n, 32) <= picked.numel() <= max(32, n / 100)


@pytest.mark.parametrize("width", (64, 128, 768, 1024))
def test_a_sample_of_a_matrix_visits_many_columns(width):
    columns = sample(torch.arange(width).repeat(1024)).unique().numel()
    assert columns >= 0.8 * width


def test_a_sample_of_a_transposed_tensor_is_of_the_same_coordinates():
    x = torch.randn(300, 70)
    assert torch.equal(sample(x.T.contiguous().T), sample(x))


def train(workload, seed, lr, steps, shadow=False, **choice):
    """Final loss; how often a shadowing probe chose the same; how often the most frequent candidate was chosen."""
    task = WORKLOADS[workload].task(seed, None)
    params = list(task.parameters())
    opt = AdamW(params, lr, BANK, **choice)
    copies = [nn.Parameter(p.detach().clone()) for p in params]
    probe = AdamW(copies, lr, BANK, selector=choice.get("selector"))
    agreed, chosen = 0, Counter()
    for _ in range(steps):
        opt.zero_grad()
        task.loss().backward()
        for p, q in zip(params, copies, strict=True):
            q.grad = p.grad.clone() if shadow else None
        opt.step()
        if shadow:
            probe.step()
            agreed += probe.param_groups[0]["chosen"] == opt.param_groups[0]["chosen"]
        chosen[opt.param_groups[0]["chosen"]] += 1
    return task.validate(), agreed / steps, max(chosen.values()) / steps


def test_on_chars_the_probe_chooses_as_the_full_bank_does(capsys):
    """The measure is what the full bank chooses without any averaging, which here is nearly always the same."""
    full = [train("chars", seed, 4e-3, 80, shadow=True, bank="full") for seed in SEEDS]
    probe = [train("chars", seed, 4e-3, 80) for seed in SEEDS]
    _, agreement, usual = map(statistics.fmean, zip(*full, strict=True))
    losses = [[loss for loss, *_ in runs] for runs in (full, probe)]
    with capsys.disabled():
        print(f"\nchars, 80 steps, seeds {SEEDS}: the probe chooses as the full bank in {agreement:.1%} of the steps;")
        print(f"one candidate for ever would in {usual:.1%}; validation loss full {losses[0]}, probe {losses[1]}")
    assert agreement > 0.5
    assert abs(statistics.fmean(losses[0]) - statistics.fmean(losses[1])) <= max(statistics.stdev(x) for x in losses)


def test_where_the_choice_moves_the_probe_moves_with_it(capsys):
    """On a small CNN with a small learning rate the bank goes from .5 over .9 to .99: no fixed candidate knows that."""
    calm = Greedy(smoothing=0.9)
    runs = [train("digits-cnn", seed, 3e-4, 150, shadow=True, bank="full", selector=calm) for seed in SEEDS]
    _, agreement, usual = map(statistics.fmean, zip(*runs, strict=True))
    with capsys.disabled():
        print(
            f"\ndigits-cnn, 150 steps, seeds {SEEDS}: the probe chooses as the full bank in {agreement:.1%} of steps;"
        )
        print(f"one candidate for ever would in {usual:.1%}")
    assert agreement > usual


def test_a_probe_remembers_two_percent_more_than_adamw():
    task = WORKLOADS["chars"].task(0, None)
    ours, theirs = AdamW(task.parameters(), betas=BANK), torch.optim.AdamW(task.parameters())
    task.loss().backward()
    ours.step(), theirs.step()
    plain = sum(x.numel() * x.element_size() for entry in theirs.state.values() for x in entry.values())
    assert ours.state_bytes() <= 1.02 * plain
