"""Rows for dashboards, the live panel, and what the hosts' callbacks do with them."""

from __future__ import annotations

import io
import math

import pytest
import torch
from rich.console import Console
from torch import nn

import fallline
from fallline.integrations.tensorboard import TensorBoard
from fallline.listen import Ear, Live, attached, log, rows


class Board:
    """What a SummaryWriter does, as a list."""

    def __init__(self) -> None:
        self.said: dict[str, tuple[object, int]] = {}

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.said[name] = value, step

    add_text = add_scalar


def trained(steps: int = 40) -> Ear:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2))
    opt = torch.optim.AdamW(net.parameters(), lr=0.01)
    with fallline.listen(net, window=4, batch=8) as ear:
        for _ in range(steps):
            opt.zero_grad()
            net(torch.randn(8, 6)).square().mean().backward()
            opt.step()
    return ear


@pytest.fixture(scope="module")
def ear() -> Ear:
    return trained()


def test_rows_are_finite_numbers_under_flat_names(ear: Ear) -> None:
    heard = ear.estimates(parameters=False)
    told = rows(heard)
    assert all(type(x) is float and math.isfinite(x) for x in told.values())
    assert told["steps"] == 40 and told["total/lr"] == 0.01 and told["hidden/momentum"] == 0.9
    assert told["total/signal"] == heard.total.signal.value / heard.total.power.value
    assert told["total/best_momentum/diagonal"] == heard.total.pay["diagonal"].best_clean.value
    assert all(told[f"hidden/families/{name}"] == x.value for name, x in heard.roles["hidden"].families.items())
    assert {name.split("/")[0] for name in told} == {"steps", "alarms", "total", *heard.roles}


def test_an_ear_that_has_heard_nothing_gives_few_rows() -> None:
    told = rows(Ear(nn.Linear(2, 2), window=4).estimates(parameters=False))
    assert told["steps"] == 0 and "total/noise_scale" not in told


def test_log_sends_them_to_writers(ear: Ear) -> None:
    board = Board()
    heard = log(ear, TensorBoard(board, "heard"))
    assert board.said["heard/total/lr"] == (0.01, 40)
    assert board.said["heard/alarms"] == ("none", 40)
    assert heard.parameters == {}
    log(ear, TensorBoard(board), step=7)
    assert board.said["fallline/total/lr"] == (0.01, 7)


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=160), out


def test_the_panel_shows_what_is_heard_and_nothing_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.listen.live.PAUSE", 0.0)
    for terminal in (True, False):
        screen, out = console(terminal)
        net = nn.Linear(6, 2)
        opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.5)
        with attached(window=4) as here, Live(here, screen):
            for _ in range(40):
                opt.zero_grad()
                net(torch.randn(8, 6)).square().mean().backward()
                opt.step()
        assert here.ears["Linear"].steps == 40
        assert all((word in out.getvalue()) == terminal for word in ("Linear", "steps/s", "euclid", "0.5", "40"))


def test_the_panel_does_not_end_a_step_that_is_half_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.listen.live.PAUSE", 0.0)
    monkeypatch.setattr("fallline.listen.live.SHARE", math.inf)
    asked = list[int]()

    def fails(*given: object, **named: object) -> None:
        asked.append(1)
        raise LookupError

    monkeypatch.setattr("fallline.listen.live.heard", fails)
    net = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    first, second = (torch.optim.SGD(net[i].parameters(), lr=0.01) for i in (0, 1))
    with fallline.listen(net, window=4) as ear:
        live = Live(ear, console(True)[0])
        with live:
            for _ in range(31):
                net(torch.randn(8, 6)).square().mean().backward()
                first.step()
                second.step()
            net(torch.randn(8, 6)).square().mean().backward()
            first.step()  # half a step
            assert ear.steps == 31 and not asked
            second.step()  # a whole one: it asks, and what fails there is no business of the training
            assert ear.steps == 32 and asked
