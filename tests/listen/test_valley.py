"""Rules that need a loss, on quadratics of which all is known; how sharp a step is; bets of the alarms."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest
import torch
from benchmarks.quadratic import VALLEYS, Valley
from benchmarks.valley import measured
from torch import Tensor, nn

from fallline.listen.alarm import LINES, POWERS, Bet, Jumper
from fallline.listen.sharpness import sharpness

BY_NAME = {valley.name: valley for valley in VALLEYS}
NULLS = ("even, noise 3", "even, at rest", "half of the rows", "batches of 4, momentum 0, lr at the most")
RIGHT = ("coordinates", "left, AdamW", "even, lr 3 times the most")


@pytest.mark.parametrize("name", NULLS)
def test_no_metric_and_no_lr_is_advised_that_wins_nothing(name: str) -> None:
    assert not measured(BY_NAME[name], 1, first=0).wrong


@pytest.mark.parametrize("name", RIGHT)
def test_what_wins_is_advised(name: str) -> None:
    tally = measured(BY_NAME[name], 1, first=0)
    assert not tally.wrong and all(tally.right[one] for one in BY_NAME[name].hope)


@pytest.mark.slow
@pytest.mark.parametrize("valley", VALLEYS, ids=lambda v: v.name)
def test_leads_are_seldom_wrong(valley: Valley) -> None:
    tally = measured(valley, 12, first=0)
    assert sum(tally.wrong.values()) <= 1
    assert not tally.held or sum(tally.held) >= 0.8 * len(tally.held)


def bowl(h: Tensor, noise: float = 0.0) -> tuple[nn.Linear, Callable[[], Tensor]]:
    """sum h w^2 / 2, with noise in its gradient."""
    net = nn.Linear(len(h), 1, bias=False)
    return net, lambda: ((h + noise * torch.rand(len(h))) * net.weight.square()).sum() / 2


def test_each_sharpness_is_of_a_batch_of_its_own() -> None:
    """Though torch's random numbers are as if nobody had asked."""
    net, loss = bowl(torch.ones(3), noise=1.0)
    before = torch.get_rng_state()
    assert len({sharpness(net, loss, []).value for _ in range(4)}) == 4
    assert torch.equal(before, torch.get_rng_state())


def test_sharpness_is_of_the_step_that_all_groups_make() -> None:
    """What is sharp and moves little does not bring lr to its ceiling; what does not move has no part in it."""
    one, two, still = bowl(torch.tensor([100.0])), bowl(torch.tensor([1.0])), bowl(torch.tensor([1e4]))
    net = nn.ModuleList([one[0], two[0], still[0]])
    groups = [{"params": one[0].parameters(), "lr": 0.001}, {"params": two[0].parameters(), "lr": 0.5}]
    told = sharpness(net, lambda: one[1]() + two[1]() + still[1](), [torch.optim.SGD(groups)])
    s = [lr * h * float(w.weight.detach()) for lr, h, w in ((0.001, 100, one[0]), (0.5, 1, two[0]))]
    drop = s[0] ** 2 / 0.001 + s[1] ** 2 / 0.5  # <g, s>
    assert told.share == pytest.approx((100 * s[0] ** 2 + s[1] ** 2) / (2 * drop), rel=1e-5)
    assert told.share < 0.3


def test_dampening_leaves_a_step_more_room() -> None:
    net, loss = bowl(torch.tensor([4.0]))
    told = sharpness(net, loss, [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, dampening=0.9)])
    assert told.value == pytest.approx(4) and told.limit == pytest.approx(200)


def test_without_a_gradient_nothing_is_known_of_sharpness() -> None:
    net, loss = bowl(torch.zeros(2))
    assert math.isnan(sharpness(net, loss, []).value)


@pytest.mark.parametrize("bet", LINES + POWERS)
def test_bets_win_nothing_on_average_of_even_ranks(bet: Bet) -> None:
    ranks = (torch.arange(100000.0) + 0.5) / 100000
    assert sum(map(bet, ranks.tolist())) / 100000 == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("odds", [LINES, POWERS])
def test_alarms_are_rarely_false_at_any_time(odds: tuple[Bet, ...]) -> None:
    def ever(seed: int) -> bool:
        luck = Random(seed)
        jumper = Jumper(0.05, odds, luck=luck)
        return any(jumper.hear(luck.random()) for _ in range(100))

    assert sum(map(ever, range(300))) <= 15 + 2 * 4  # two standard deviations


def test_powers_tell_sooner_of_what_lies_far_out() -> None:
    luck = Random(0)
    values = [luck.random() + (n >= 60) for n in range(120)]
    first = [next(n for n, x in enumerate(values) if jumper.hear(x)) for jumper in (Jumper(), Jumper(odds=POWERS))]
    assert 60 < first[1] < first[0] - 5
