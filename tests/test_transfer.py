"""The experiment on widths finds a best lr that is known, and its pages say what was found. Nothing is trained here."""

from __future__ import annotations

import json
import math

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("typer")

from benchmarks import transfer
from benchmarks.bowl import draw
from benchmarks.table import line as row_of
from benchmarks.transfer import OPTIMIZERS, TASKS, Ledger, bottom, bracket, drift, losses, measure, section

from fallline.race.digit import digits


def bowl(best, width=1.0):
    """A loss whose best lr is known."""
    return lambda lr: 1 + width * math.log2(lr / best) ** 2


@pytest.mark.parametrize("best", [0.002, 0.013, 0.2])
def test_a_bracket_finds_the_bottom_of_a_bowl(best):
    found, on_the_grid = bracket(bowl(best), 0.02)
    assert found == pytest.approx(best) and 2**-0.51 < on_the_grid / best < 2**0.51


def test_a_bracket_gives_up_at_its_edge_and_says_the_last():
    assert bracket(lambda lr: -lr, 1.0) == (2.0**5, 2.0**5)
    assert bottom([(1.0, 1.0), (2.0, 1.0), (4.0, 1.0)]) == 2.0


def test_pages_and_pictures_are_made_of_what_was_measured(tmp_path, monkeypatch):
    """The best lr of these losses is inverse to the width, so it moves by as much as the widths do."""
    monkeypatch.setattr(
        transfer, "train", lambda task, name, width, lr, seed: bowl(0.64 / width * 2 ** (0.1 * seed))(lr)
    )
    ledger = Ledger(tmp_path / "transfer.json")
    bests = {name: measure(ledger, "gpt", name) for name in OPTIMIZERS}
    widths = list(TASKS["gpt"].widths)
    assert drift(bests["adamw"]) == pytest.approx(widths[-1] / widths[0], rel=0.1)
    assert json.loads((tmp_path / "transfer.json").read_text()) == ledger.losses
    monkeypatch.setattr(transfer, "train", None)  # nothing is measured twice
    assert measure(Ledger(tmp_path / "transfer.json"), "gpt", "adamw") == bests["adamw"]
    told = section("gpt", bests)
    assert all(label in told for label, *_ in OPTIMIZERS.values()) and f"**{drift(bests['muon']):.1f}**" in told
    found = {"GPT": {name: (losses(ledger, "gpt", name), best) for name, best in bests.items()}}
    looks = {name: (label, color, marker) for name, (label, _, color, marker) in OPTIMIZERS.items()}
    assert draw(found, looks, tmp_path / "transfer.svg").stat().st_size > 1000


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains_a_narrow_network(name):
    """Three steps, to see that roles and shapes are what they are taken for."""
    task = TASKS["mlp"]
    model = task.model(transfer.load(digits, None), 16)
    opt = OPTIMIZERS[name][1](model, 0.01)
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = p.detach() + 0.1
    opt.step()
    assert all((p != old).any() for p, old in zip(model.parameters(), before, strict=True))


def test_a_row_of_the_table_of_named_ones():
    gap = {"other": "adamw", "difference": -0.05, "spread": 0.01}
    row = {"label": "muon", "contender": "named", "lr": 0.02, "validation": 2.0, "spread": 0.1, "to_best_fixed": gap}
    assert row_of(row) == "| muon | 0.02 | 2.0000 ± 0.1000 | -5.0 ± 1.0 % |"
    assert row_of(row | {"label": "adamw"}).endswith("| – |")
