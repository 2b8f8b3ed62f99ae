"""Gradients such as no theory has them: whatever is heard, the ear answers, and claims nothing that is not there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import fallline

Gradient = Callable[[int, Tensor], Tensor | None]
ODD: dict[str, Gradient] = {
    "zeros": lambda n, p: torch.zeros_like(p),
    "never finite": lambda n, p: torch.full_like(p, math.nan),
    "never there": lambda n, p: None,
    "the same": lambda n, p: torch.ones_like(p),
    "back and forth": lambda n, p: torch.ones_like(p) * (-1) ** n,
    "tiny": lambda n, p: 1e-20 * torch.randn_like(p),
    "huge": lambda n, p: 1e15 * torch.randn_like(p),
    "every seventh": lambda n, p: torch.randn_like(p) * (n % 7 == 0),
    "growing": lambda n, p: torch.ones_like(p) * n,
    "once infinite": lambda n, p: torch.randn_like(p) * (math.inf if n == 50 else 1),
}
SILENT = ("zeros", "never finite", "never there")


def ear(gradient: Gradient, steps: int, window: int, every: int) -> fallline.listen.Ear:
    net = nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 5))
    opt = torch.optim.AdamW(net.parameters(), lr=1e-6)
    with fallline.listen(net, window=window, every=every) as found:
        for n in range(steps):
            for p in net.parameters():
                p.grad = gradient(n, p)
            opt.step()
    return found


@pytest.mark.parametrize(("steps", "window", "every"), [(1, 64, 1), (9, 7, 3), (150, 64, 1), (400, 1, 1)])
@pytest.mark.parametrize("kind", list(ODD))
def test_whatever_is_heard_is_answered(kind: str, steps: int, window: int, every: int) -> None:
    heard = ear(ODD[kind], steps, window, every)
    told, advice = heard.estimates(), heard.recommend()
    json.dumps([told.json(), advice.json()], allow_nan=False)
    if kind in SILENT:
        assert math.isnan(told.total.persistence.value)
        assert not advice.changes
    assert not [name for name, one in told.parameters.items() if one.power.value < 0]


@pytest.mark.parametrize("kind", SILENT)
def test_a_page_of_nothing_is_a_page(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = ear(ODD[kind], 150, 16, 1).report(tmp_path / "page.html")
    assert "</html>" in page.read_text(encoding="utf-8")
