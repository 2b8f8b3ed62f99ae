"""K: diagnostics."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from conformance.recipe import Recipe
from fallline.core.phase import QUIET, phase
from kit import differences, owned, snapshot, stream, walk


def walked(recipe: Recipe, steps: int = 6) -> Any:
    opt = recipe.made()
    walk(opt, stream(owned(opt), steps))
    return opt


# --- K1 -----------------------------------------------------------------------------------------------------------


def plain(x: Any) -> bool:
    """Python's own kinds, all the way down."""
    if type(x) is dict:
        return all(type(key) is str and plain(value) for key, value in x.items())
    return all(map(plain, x)) if type(x) is list else type(x) in (str, int, float, bool, type(None))


def test_k1_the_report_is_plain_data(ours: Recipe) -> None:
    """It goes through JSON unchanged, before the first step too."""
    for opt in (ours.made(), walked(ours)):
        told = opt.report()
        assert plain(told) and json.loads(json.dumps(told)) == told
        assert {"optimizer", "rule", "step", "skipped", "state_bytes", "groups"} <= told.keys()


def test_k1_the_report_changes_nothing(ours: Recipe) -> None:
    opt, other = walked(ours), walked(ours)
    before = snapshot(opt)
    opt.report()
    assert differences(snapshot(opt), before) == []
    for o in (opt, other):
        walk(o, stream(owned(o), 3, seed=5))
    assert differences(snapshot(opt), snapshot(other)) == []


# --- K3 -----------------------------------------------------------------------------------------------------------


def test_k3_a_profile_shows_what_each_phase_costs(ours: Recipe) -> None:
    """Ranges by name, inside of torch's own range of the step, and not longer than it."""
    opt = walked(ours)
    with profile(activities=[ProfilerActivity.CPU]) as told:
        walk(opt, stream(owned(opt), 3))
    found = {event.key: event for event in told.key_averages()}
    phases = {key.partition(".")[2]: event for key, event in found.items() if key.startswith("fallline.")}
    choosing = {"decide", "apply", "remember"} if ours.chooses else {"remember and apply"}
    assert {"plan", "check", "show"} | choosing == set(phases)
    assert all(event.count >= 3 and event.cpu_time_total > 0 for event in phases.values())
    whole = next(event for key, event in found.items() if key.startswith("Optimizer.step#"))
    assert sum(event.cpu_time_total for event in phases.values()) <= whole.cpu_time_total


def test_k3_without_a_profile_there_are_no_ranges() -> None:
    assert phase("decide") is QUIET


# --- K4 -----------------------------------------------------------------------------------------------------------


def test_k4_one_line_for_a_progress_bar(ours: Recipe) -> None:
    """Short, of one line, with what is chosen; and of several groups their range."""
    opt = walked(ours)
    words = opt.line()
    group = opt.param_groups[0]
    momentum = group["betas"][0] if "betas" in group else group["momentum"]
    assert words.startswith(f"lr {group['lr']:.3g}, momentum {momentum:.3g}") and len(words) < 80 and "\n" not in words
    assert ("effective lr" in words) == ours.chooses and "skipped" not in words
    opt.add_param_group({"params": ours.weights(seed=3), "lr": 10 * group["lr"]})
    assert f"lr {group['lr']:.3g} to {10 * group['lr']:.3g}, " in opt.line()


def test_k4_skipped_steps_are_in_it(ours: Recipe) -> None:
    opt = ours.made(on_nonfinite="skip")
    opt._guard.told = True  # the warning is another test's
    walk(opt, [[torch.full_like(p, torch.nan) for p in owned(opt)]] * 2)
    assert opt.line().endswith("skipped 2")
