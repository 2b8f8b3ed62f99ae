"""The suite's plugin: who is asked, what is known to fail, what was refused by design, and the record of it all.

A test is called test_<line>_<words>, such as test_b7_the_gradient_is_left_as_found, and asks each of the recipes that
its argument names: `recipe` (all), `ours`, `chooser` (ours that choose) or `control`. Without such an argument it
counts for ours in common. A line with several tests passes if all of them do.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Generator
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from conformance.recipe import ASKED, KNOWN, RECIPES, Recipe, known, named
from fallline.race.environment import environment

HERE = Path(__file__).parent
LINE = re.compile(r"test_([a-m]\d+)_")
HOSTS = ("transformers", "accelerate", "pytorch-lightning", "lightning", "timm", "peft", "torchvision")

assert {who for _, who in KNOWN} <= {r.name for r in RECIPES if not r.ours}, "none of ours may be known to fail"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to write down what came out; what stands there about tests that are not run now stays."""
    parser.addoption("--conformance", type=Path, default=None, metavar="FILE", help="write the outcomes there, as JSON")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every recipe that the test's argument asks."""
    for word, recipes in ASKED.items():
        if word in metafunc.fixturenames:
            metafunc.parametrize(word, recipes, ids=named(recipes))


def asked(item: pytest.Item) -> Recipe | None:
    """The recipe that a test examines."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return next((params[word] for word in ASKED if word in params), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where torch is known to fail it must fail."""
    for item in items:
        if HERE in item.path.parents:
            assert LINE.match(item.name), f"{item.name}: a test here is named by a line of the acceptance list"
            if why := known(item.name, asked(item)):
                item.add_marker(pytest.mark.xfail(reason=why, strict=True))


@pytest.fixture
def refused(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """`refused(reason)`, called after a clear error was asserted: what is asked for is not done, by design."""
    return lambda reason: request.node.user_properties.append(("refused", reason))


# --- the record -------------------------------------------------------------------------------------------------------


class Record:
    """What came out, by test."""

    def __init__(self, file: Path) -> None:
        self.file, self.tests = file, dict[str, dict[str, Any]]()

    def note(self, item: pytest.Item, outcome: str, reason: str = "") -> None:
        """Write down one outcome; a failure in any phase is a failure."""
        if HERE not in item.path.parents:
            return
        recipe, line = asked(item), LINE.match(item.name)
        self.tests[item.nodeid] = {
            "line": line[1].upper() if line else "",
            "recipe": recipe.name if recipe else None,
            "outcome": outcome,
            "reason": reason,
            "host": item.get_closest_marker("host") is not None,
        }

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Look at what pytest says of a test."""
        report = yield
        known_to_fail = getattr(report, "wasxfail", None)
        if report.skipped and known_to_fail is not None:
            self.note(item, "fail", known_to_fail)
        elif report.skipped:
            why = str(call.excinfo.value) if call.excinfo else ""
            needs = item.get_closest_marker("host") is not None or why.startswith("needs ")
            self.note(item, "not run" if needs else "not asked", why)
        elif report.failed:
            self.note(item, "fail", report.longreprtext.strip().rpartition("\n")[2])
        elif report.when == "call":
            said = dict(item.user_properties)
            self.note(item, "refused" if "refused" in said else "pass", said.get("refused", ""))
        return report

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """A test that was left out, such as one that needs a host's packages."""
        for item in items:
            self.note(item, "not run")

    def pytest_sessionfinish(self) -> None:
        """Add this to what the file already says; that a test was not run now says nothing new."""
        old = json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else {"runs": [], "tests": {}}
        new = {name: x for name, x in self.tests.items() if x["outcome"] != "not run" or name not in old["tests"]}
        told = {"runs": [*old["runs"], self._run()], "tests": dict(sorted({**old["tests"], **new}.items()))}
        self.file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _run(self) -> dict[str, Any]:
        when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        words = " ".join(f'"{word}"' if " " in word or not word else word for word in sys.argv[1:])
        return {"command": f"pytest {words}", "when": when, "environment": environment(), "hosts": _hosts()}


def _hosts() -> dict[str, str]:
    """Which of the packages that host an optimizer are here, and in which versions."""
    found = {}
    for name in HOSTS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Keep a record where one was asked for."""
    if file := config.getoption("conformance", default=None):
        config.pluginmanager.register(Record(file), "conformance-record")
