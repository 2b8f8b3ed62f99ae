"""make conformance: runs tests/conformance, writes docs/conformance.md from what came out, and prints the table.

It ends with an error if one of ours fails a line. `--draw` only draws again from docs/conformance.json; `--quick`
leaves out the tests that need a host's packages, several processes or minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.line import ELSEWHERE, LETTERS, LINES, order
from benchmarks.page import table

ROOT = Path(__file__).parent.parent
RESULTS, PAGE = ROOT / "docs" / "conformance.json", ROOT / "docs" / "conformance.md"
SIGNS = {
    "pass": "✓",
    "partly run": "(✓)",
    "partly refused": "✓, refused",
    "refused": "refused",
    "fail": "✗",
    "not run": "not run",
    "not asked": "–",
}
COLOURS = {"pass": "green", "partly run": "green", "fail": "red", "not run": "dim", "not asked": "dim"}

Test = dict[str, Any]
Answers = dict[tuple[str, str], tuple[str, list[str]]]


def run(quick: bool) -> None:
    """Run the suite afresh; what it answers is in the file, also where tests failed."""
    RESULTS.unlink(missing_ok=True)
    chosen = [] if quick else ["-m", ""]
    file = RESULTS.relative_to(ROOT).as_posix()
    words = [sys.executable, "-m", "pytest", "tests/conformance", *chosen, "--conformance", file]
    done = subprocess.run([*words, "-q"], cwd=ROOT, check=False)
    if not RESULTS.exists():
        sys.exit(
            f"The tests ended with {done.returncode} and left no results: the process died, or nothing was collected."
        )


def columns() -> tuple[list[str], list[str]]:
    """Names of our recipes, and of the controls."""
    sys.path.insert(0, str(ROOT / "tests"))
    from conformance.recipe import RECIPES

    return [r.name for r in RECIPES if r.ours], [r.name for r in RECIPES if not r.ours]


def answers(tests: Iterable[Test], ours: list[str]) -> Answers:
    """For each line and recipe the worst outcome of its tests, and the reasons given."""
    found: dict[tuple[str, str], list[Test]] = {}
    for test in tests:
        for name in [test["recipe"]] if test["recipe"] else ours:
            found.setdefault((test["line"], name), []).append(test)
    return {key: (_outcome({one["outcome"] for one in some}), _reasons(some)) for key, some in found.items()}


def _outcome(seen: set[str]) -> str:
    """Of a line, from those of its tests."""
    if "fail" in seen:
        return "fail"
    if "refused" in seen:
        return "partly refused" if "pass" in seen else "refused"
    if "not run" in seen:
        return "partly run" if "pass" in seen else "not run"
    return "pass" if "pass" in seen else "not asked"


def _reasons(tests: list[Test]) -> list[str]:
    """Why it did not simply pass: of a failure only what failed."""
    failed = [test for test in tests if test["outcome"] == "fail"]
    told = [
        f"{'not run: ' * (test['outcome'] == 'not run')}{test['reason']}" for test in failed or tests if test["reason"]
    ]
    return list(dict.fromkeys(told))


class Notes:
    """Footnotes: each reason once, numbered in the order in which it is met."""

    def __init__(self) -> None:
        self.reasons: dict[str, int] = {}

    def mark(self, outcome: str, reasons: list[str]) -> str:
        """A cell of the table."""
        marks = ",".join(str(self.reasons.setdefault(reason, len(self.reasons) + 1)) for reason in reasons)
        return f"{SIGNS[outcome]}<sup>{marks}</sup>" if marks else SIGNS[outcome]

    def text(self) -> str:
        """The list under the tables."""
        return "\n".join(f"{n}. {reason}" for reason, n in self.reasons.items()) + "\n"


def machine(told: dict[str, Any]) -> str:
    """Versions, machine, date and command of every run that the page is made of."""
    lines = []
    for one in told["runs"]:
        e = one["environment"]
        hosts = "".join(f", {name} {number}" for name, number in one["hosts"].items())
        where = f"fallline {e['fallline']}, torch {e['torch']}, Python {e['python']}{hosts}; {e['cpu']}, "
        lines.append(f"- `{one['command']}`, {one['when']}: {where}{e['cores']} cores, {e['platform']}.")
    return "\n".join(lines) + "\n"


def count(found: Answers, names: list[str]) -> str:
    """How many lines ended how."""
    rows = []
    for name in names:
        outcomes = [outcome for (_, who), (outcome, _) in found.items() if who == name]
        rows.append([name, *(str(outcomes.count(one)) for one in SIGNS)])
    return table(["lines", *SIGNS.values()], rows)


INTRODUCTION = """# Conformance

What a torch optimizer must do so that code which was written for another one goes on working, and who does it: ours,
and torch's own as controls, so that a wrong expectation shows. `make conformance` runs the tests and writes this page;
each line is one or more tests in `tests/conformance`, called by the line.

✓ all tests of the line pass; (✓) all that could be run here. *refused*: by design it is not done, and a test shows that
a clear error says so; with a ✓, a part of the line. ✗ a test fails. *not run*: it needs what was not there, such as a
host's packages or a GPU. – the line does not concern it. Notes, also at a ✓, say what was not asked, and why.
"""


def page(told: dict[str, Any]) -> str:
    """The whole page."""
    ours, controls = columns()
    names, found, notes = [*ours, *controls], answers(told["tests"].values(), ours), Notes()
    sections = []
    for letter, title in LETTERS.items():
        body = [
            [line, what, *(notes.mark(*found.get((line, name), ("not asked", []))) for name in names)]
            for line, what in LINES.items()
            if line[0] == letter and any((line, name) in found for name in names)
        ]
        if body:
            sections.append(f"## {letter}. {title}\n\n{table(['', '', *names], body)}")
    silent = {line: "no test yet" for line in LINES if not any((line, name) in found for name in names)}
    left = "\n".join(
        f"- {line}: {why}." for line, why in sorted((silent | ELSEWHERE).items(), key=lambda x: order(x[0]))
    )
    return "\n".join(
        [
            INTRODUCTION,
            machine(told),
            count(found, names),
            *sections,
            f"## Why\n\n{notes.text()}",
            f"## Lines without a test here\n\n{left}\n",
        ]
    )


def show(told: dict[str, Any]) -> list[str]:
    """Print the table; the lines that one of ours fails."""
    from rich.console import Console
    from rich.table import Table

    ours, controls = columns()
    found = answers(told["tests"].values(), ours)
    shown = Table("line", *ours, *controls, title="Conformance", pad_edge=False)
    for line in sorted({line for line, _ in found}, key=order):
        outcomes = [found.get((line, name), ("not asked", []))[0] for name in (*ours, *controls)]
        shown.add_row(line, *(f"[{COLOURS.get(one, 'yellow')}]{SIGNS[one]}[/]" for one in outcomes))
    Console().print(shown)
    return sorted(
        {line for (line, name), (outcome, _) in found.items() if outcome == "fail" and name in ours}, key=order
    )


def main() -> None:
    """Run, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help="do not run the tests again")
    parser.add_argument("--quick", action="store_true", help="leave out what needs hosts, processes or minutes")
    given = parser.parse_args()
    if not given.draw:
        run(given.quick)
    told = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page(told), encoding="utf-8")
    if failed := show(told):
        sys.exit(f"Ours fail {', '.join(failed)}; docs/conformance.md says why.")


if __name__ == "__main__":
    main()
