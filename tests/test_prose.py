"""All prose runs: Python blocks of the pages, examples in docstrings, and the scripts in examples/."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.evaluators.doctest import NUMBER
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parent.parent
PAGES = [page for page in (ROOT / "README.md", ROOT / "GLOSSARY.md", ROOT / "CONTRIBUTING.md") if page.exists()]
PAGES += sorted((ROOT / "docs").glob("**/*.md"))
MODULES = sorted((ROOT / "src" / "fallline").glob("**/*.py"))
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))

# A shown 0.33 stands for every number within 0.01 of it, and ... for anything.
FLAGS = NUMBER | doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PAGE = Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=FLAGS)])
DOCSTRINGS = Sybil(parsers=[DocTestParser(optionflags=FLAGS)])


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(sybil: Sybil, path: Path) -> int:
    """Run everything that can be run in one file, top to bottom, in one namespace."""
    examples = list(sybil.parse(path).examples())
    for example in examples:
        example.evaluate()
    return len(examples)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What prose writes to files does not land in the repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page(page: Path) -> None:
    run(PAGE, page)


@pytest.mark.parametrize("module", [m for m in MODULES if ">>>" in m.read_text(encoding="utf-8")], ids=name)
def test_docstrings(module: Path) -> None:
    assert run(DOCSTRINGS, module), "a '>>>' stands outside of a docstring: nobody would run it"


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_example(script: Path) -> None:
    smoke = os.environ | {"FALLLINE_SMOKE": "1"}  # the script shrinks itself to seconds
    done = subprocess.run([sys.executable, script], env=smoke, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_page_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1 / 3\n```\n\n```python\n>>> x\n0.33\n>>> 2 * x\n0.33\n```\n")
    with pytest.raises(Exception, match=r"Expected:\s+0.33\s+Got:\s+0.66"):
        run(PAGE, page)
