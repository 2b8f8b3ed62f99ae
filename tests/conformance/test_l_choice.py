"""L: what only an optimizer that chooses must keep to."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.recipe import Recipe
from fallline import Greedy, Replay
from kit import differences, owned, readable, snapshot, stream, walk

ROOT = Path(__file__).parent.parent.parent
SIGN = "by the batch that a sign has just taken in, the shortest memory always pays at least as much"


def candidates(recipe: Recipe) -> tuple[float, ...]:
    """The bank that a recipe chooses from."""
    return tuple(recipe.made().param_groups[0]["candidates"])


def among(recipe: Recipe, bank: tuple[float, ...]) -> dict[str, Any]:
    """The option that gives a recipe these candidates."""
    second = recipe.made().param_groups[0].get("betas", (None, None))[1]
    return {"betas": (bank, second)} if recipe.word == "betas" else {"momentum": bank}


def scope(recipe: Recipe) -> str:
    return "parameter" if recipe.name == "AdamW each" else "global"


def choosing(opt: Any) -> list[Any]:
    """The parameters that choose: where hidden matrices have a rule of their own, the others do not."""
    return [p for p in owned(opt) if "filter.choice" in opt.state[p]]


def choices(opt: Any, gradients: Any) -> list[tuple[int, ...]]:
    """The candidate of every parameter, step by step."""
    told = []
    for now in gradients:
        walk(opt, [now])
        told.append(tuple(int(opt.state[p]["filter.choice"]) for p in choosing(opt)))
    return told


# --- L1, L2 -------------------------------------------------------------------------------------------------------


def test_l1_one_candidate_is_the_fixed_recipe(chooser: Recipe) -> None:
    """Bit for bit in parameters and state; nothing is measured."""
    one = chooser.made(**among(chooser, (0.9,)))
    number = {"betas": (0.9, one.param_groups[0]["betas"][1])} if chooser.word == "betas" else {"momentum": 0.9}
    roles = {key: x for key, x in chooser.build.keywords.items() if key == "roles"}  # type: ignore[attr-defined]
    fixed = chooser.kind(chooser.weights(), lr=one.defaults["lr"], **number, **roles)
    for opt in (one, fixed):
        walk(opt, stream(owned(opt), 9))
    assert differences(snapshot(one), snapshot(fixed)) == []
    assert not any("pay" in key for key in one.state[owned(one)[0]])


def test_l2_the_order_of_candidates_does_not_matter(chooser: Recipe) -> None:
    ends = []
    for bank in itertools.permutations(candidates(chooser)):
        opt = chooser.made(**among(chooser, bank))
        walk(opt, stream(owned(opt), 9))
        ends.append(snapshot(opt))
    assert len(ends) >= 2 and all(differences(end, ends[0]) == [] for end in ends[1:])


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_l2_the_scale_of_the_loss_does_not_matter(chooser: Recipe, scale: float) -> None:
    plain, scaled = (chooser.build(chooser.weights(torch.float64)) for _ in range(2))
    gradients = stream(owned(plain), 13)
    assert choices(plain, gradients) == choices(scaled, [[g * scale for g in now] for now in gradients])


@pytest.mark.parametrize(("sign", "best"), [(1.0, -1), (-1.0, 0)], ids=["steady", "alternating"])
def test_l2_the_best_known_candidate_is_found(chooser: Recipe, sign: float, best: int) -> None:
    """Steady gradients ask for the longest memory, alternating ones for the shortest."""
    if chooser.name == "Lion auto" and sign > 0:
        pytest.skip(SIGN)
    opt = chooser.made()
    drift = stream(owned(opt), 1)[0]
    walk(opt, [[g * sign**n for g in drift] for n in range(30)])
    assert opt.report()["groups"][0]["momentum"] == candidates(chooser)[best]


# --- L3, L4 -------------------------------------------------------------------------------------------------------


def test_l3_hysteresis_holds(chooser: Recipe) -> None:
    """Between two switches of one scope lie at least as many steps as a challenger has to lead; fewer than without."""
    told = {}
    for hysteresis in (1, 4):
        opt = chooser.made(selector=Greedy(scope=scope(chooser), hysteresis=hysteresis))
        path = choices(opt, stream(owned(opt), 40))
        turns = [[n for n in range(1, 40) if path[n][i] != path[n - 1][i]] for i in range(len(path[0]))]
        assert all(b - a >= hysteresis for one in turns for a, b in itertools.pairwise(one))
        told[hysteresis] = sum(map(len, turns))
    assert told[4] < told[1] or told[1] == 0


def test_l3_noise_alone_does_not_make_it_oscillate(chooser: Recipe) -> None:
    """Of 60 steps of nothing but noise, over three seeds, averages and hysteresis switch in few."""
    switches = []
    for seed in range(3):
        opt = chooser.made(selector=Greedy(scope="global", smoothing=0.9, hysteresis=5))
        source = torch.Generator().manual_seed(seed)
        noise = [[torch.randn(p.shape, generator=source) for p in owned(opt)] for _ in range(60)]
        path = choices(opt, noise)
        switches.append(sum(a != b for a, b in itertools.pairwise(path)))
    assert float(torch.tensor(switches, dtype=torch.float64).mean()) <= 3, switches


def test_l3_the_first_step_is_fixed(chooser: Recipe) -> None:
    """All candidates hold the same thing: the shortest memory stays."""
    opt = chooser.made()
    assert set(choices(opt, stream(owned(opt), 1))[0]) == {0}


def test_l4_candidates_that_are_not_chosen_keep_listening(chooser: Recipe) -> None:
    """What they remember does not depend on who was chosen."""
    opts = [chooser.made(selector=Replay(path, scope=scope(chooser))) for path in ((0,), (0, 1, 1, 0, 1))]
    for opt in opts:
        walk(opt, stream(owned(opt), 8))
    kept = [
        [opt.state[p][f"filter.m{k}"] for p in choosing(opt) for k in range(len(candidates(chooser)))] for opt in opts
    ]
    assert differences(*kept) == []


def test_l4_a_switch_resets_nothing(chooser: Recipe) -> None:
    """Replaying the same path with closed eyes gives the same run."""
    opt = chooser.build(readable(chooser.weights()), selector=Greedy())
    gradients = stream(owned(opt), 20)
    seen = tuple(one[0] for one in choices(opt, gradients))
    replay = chooser.build(readable(chooser.weights()), selector=Replay(seen))
    walk(replay, gradients)
    assert differences(snapshot(opt)["params"], snapshot(replay)["params"]) == []


# --- L6, L7 -------------------------------------------------------------------------------------------------------


def test_l6_a_fixed_recipe_measures_nothing(ours: Recipe) -> None:
    """Without a choice there is nothing to pay; what one costs is timed by make speed and told in docs/speed.md."""
    opt = ours.made()
    walk(opt, stream(owned(opt), 2))
    assert any("pay" in key for p in owned(opt) for key in opt.state[p]) == ours.chooses
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    assert "adamw, threads: 1" in page and "make speed" in page


def told(opt: Any) -> list[dict[str, Any]]:
    """The explanation of every scope."""
    group = opt.report()["groups"][0]
    return list(group["parameters"].values()) if "parameters" in group else [group]


def test_l7_the_report_says_why(chooser: Recipe) -> None:
    """Each candidate's pay, who was second, by how much, from how many measurements."""
    opt = chooser.made()
    walk(opt, stream(owned(opt), 12))
    for one in told(opt):
        assert len(one["pay"]) == len(candidates(chooser)) and one["samples"] == 12 == sum(one["chosen"])
        assert one["runner_up"] in set(candidates(chooser)) - {one["momentum"]}
        assert one["margin"] <= 1.0 or min(one["pay"]) < 0


def test_l7_too_little_evidence_is_called_so(chooser: Recipe) -> None:
    """Before the first step, in the first ten, and where candidates cannot be told apart."""
    opt = chooser.made()
    assert {one["evidence"] for one in told(opt)} <= {"none"}
    drift = stream(owned(opt), 1)[0]
    for _ in range(3):
        walk(opt, [drift])
    assert {one["evidence"] for one in told(opt)} == {"little"}
    if chooser.name == "Lion auto":
        pytest.skip(SIGN)
    walk(opt, [drift] * 27)
    assert {one["evidence"] for one in told(opt)} <= {"some", "decided"}
