"""What a CUDA graph relies on, as far as it shows without a GPU; test_cuda.py captures and replays."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kit import FEW, OPTIMIZERS, owned, stream, trained, walk, weights


def addresses(opt: Any) -> list[int]:
    """Where everything lies that a step writes to."""
    state = [x.data_ptr() for p in owned(opt) for x in opt.state[p].values()]
    return [p.data_ptr() for p in owned(opt)] + state


@pytest.mark.parametrize("name", FEW)
def test_steps_and_reports_leave_everything_where_it_is(name: str) -> None:
    opt = trained(name)
    before = addresses(opt)
    opt.report()
    opt.state_dict()
    walk(opt, stream(owned(opt), 2))
    assert addresses(opt) == before


def test_a_step_is_planned_before_it_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    opt = OPTIMIZERS["full"](weights())
    monkeypatch.setattr("fallline.core.guard.capturing", lambda device: True)
    with pytest.raises(RuntimeError, match="Take a few steps before"):
        walk(opt, stream(owned(opt), 1))
    assert not any(opt.state.values())


def test_what_a_graph_points_into_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    opt = trained("full")
    plan = opt._plan
    monkeypatch.setattr("fallline.core.descent.capturing", lambda device: True)
    opt.step()
    opt.report()
    assert plan is not None and opt._echo.captured == [plan]


def test_a_learning_rate_on_the_host_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor on the host would have to wait on its way to a GPU."""
    one, other = (OPTIMIZERS["full"](weights()) for _ in range(2))
    other.param_groups[0]["lr"] = torch.tensor(0.01, dtype=torch.float64)
    for opt in (one, other):
        walk(opt, stream(owned(opt), 5))
    assert all(torch.equal(p, q) for p, q in zip(owned(one), owned(other), strict=True))


def test_a_default_device_is_not_ours() -> None:
    opt = OPTIMIZERS["adamw"](weights())
    gradients = stream(owned(opt), 1)
    with torch.device("meta"):
        walk(opt, gradients)
    assert all(p.isfinite().all() for p in owned(opt))
