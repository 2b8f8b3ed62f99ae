"""The conformance suite's own workings: what is recorded, what is known to fail, and the page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich", reason="the page's printer needs rich")

from benchmarks import conformance
from benchmarks.line import ELSEWHERE, LETTERS, LINES

from conformance.recipe import KNOWN, RECIPES, known

ROOT = Path(__file__).parent.parent


def recorded(file: Path, *words: str) -> dict[str, Any]:
    """What a run of some of the suite writes down."""
    some = [f"tests/conformance/test_{name}.py" for name in ("b_step", "c_flag")]
    command = [sys.executable, "-m", "pytest", *some, "-q", "--conformance", str(file), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    return json.loads(file.read_text(encoding="utf-8"))


def test_a_run_is_recorded_and_the_next_one_added(tmp_path: Path) -> None:
    """Passes, refusals, known failures and what was left out; a later run keeps what it does not ask."""
    file = tmp_path / "told.json"
    recorded(file, "-k", "b10 or c4")
    told = recorded(file, "-k", "b7")
    seen = {(test["line"], test["recipe"]): test["outcome"] for test in told["tests"].values()}
    assert seen["B10", "AdamW auto"] == seen["B7", "AdamW auto"] == "pass"
    assert (seen["C4", "AdamW auto"], seen["B10", "torch AdamW"]) == ("refused", "fail")
    assert len(told["runs"]) == 2 and seen["B1", "AdamW auto"] == "not run"
    assert next(test["reason"] for test in told["tests"].values() if test["line"] == "C4")


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        ({"pass"}, "pass"),
        ({"pass", "not asked"}, "pass"),
        ({"pass", "not run"}, "partly run"),
        ({"pass", "refused", "not run"}, "partly refused"),
        ({"refused"}, "refused"),
        ({"pass", "refused", "fail"}, "fail"),
        ({"not run", "not asked"}, "not run"),
        ({"not asked"}, "not asked"),
    ],
)
def test_a_line_is_as_good_as_its_worst_test(seen: set[str], outcome: str) -> None:
    assert conformance._outcome(seen) == outcome


def test_what_counts_for_all_of_ours() -> None:
    test = {"line": "K3", "recipe": None, "outcome": "fail", "reason": "why", "host": False}
    ours, controls = conformance.columns()
    found = conformance.answers([test], ours)
    assert found == {("K3", name): ("fail", ["why"]) for name in ours} and not set(ours) & set(controls)


def test_none_of_ours_is_known_to_fail() -> None:
    """And a key stands for whole words: b1 is not b10."""
    assert not {who for _, who in KNOWN} & {recipe.name for recipe in RECIPES if recipe.ours}
    torch_sgd = next(recipe for recipe in RECIPES if recipe.name == "torch SGD")
    assert known("test_b10_a_bad_gradient[torch SGD]", torch_sgd)
    assert known("test_b1_by_place[torch SGD]", torch_sgd) is None


def test_every_line_is_explained_once() -> None:
    assert not LINES.keys() & ELSEWHERE.keys() and {line[0] for line in LINES | ELSEWHERE} <= LETTERS.keys()


def test_the_page_is_drawn_from_the_results() -> None:
    """And by them none of ours fails."""
    told = json.loads(conformance.RESULTS.read_text(encoding="utf-8"))
    assert conformance.PAGE.read_text(encoding="utf-8") == conformance.page(told)
    ours, _ = conformance.columns()
    found = conformance.answers(told["tests"].values(), ours)
    assert not [key for key, (outcome, _) in found.items() if outcome == "fail" and key[1] in ours]
