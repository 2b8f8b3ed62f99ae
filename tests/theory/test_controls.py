"""The controls of docs/theory/curvature.md: same walks as the race's table, and the sheet's figures."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fallline.race import check

SCRIPT = Path(__file__).parents[2] / "docs" / "theory" / "figure_controls.py"


@pytest.fixture(scope="module")
def controls():
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def test_the_rows_are_the_walks_they_say(controls):
    s, at = check.stream(seeds=2, steps=40), 2  # the grid's .05 is the race's eta
    flat = controls.fixed(s, torch.ones(40).double())
    for k, beta in enumerate(check.MOMENTA):
        assert torch.allclose(flat[k, at], check.alone(beta, s))
    own, path = controls.greedy(s, controls.ENERGY)
    assert torch.allclose(own[at], check.chosen("held-out", 0.99, s), rtol=1e-9)
    assert torch.allclose(own, controls.replayed(s, path))  # its own path again is itself
    assert not torch.allclose(own, controls.replayed(s, path.roll(1, -1)), rtol=1e-3)
    assert torch.allclose(flat[0], controls.rated(s, torch.zeros_like(path)))


@pytest.mark.slow
def test_the_table_is_the_sheets_and_says_what_the_page_says(controls):
    table = controls.measure()[0]
    sheet = torch.tensor(controls.SHEET, dtype=torch.float64)
    assert torch.allclose(table[:, 1:], sheet, rtol=0.06)  # which two seeds the sheet took is not known
    fixed, cosine, greedy, constant, replay, rate = table[:, 1:]
    assert (constant > 1.05 * fixed).all() and (greedy < 0.8 * fixed).all()
    assert ((greedy / cosine - 1).abs() < 0.08).all()
    assert ((replay / greedy - 1).abs() < 0.005).all() and (rate < greedy).all()
