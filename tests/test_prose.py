"""All prose runs: Python blocks of the pages, examples in docstrings, and the scripts in examples/."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.evaluators.doctest import NUMBER
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.markdown import PythonCodeBlockParser

from host import need

ROOT = Path(__file__).parent.parent
PAGES = [page for page in (ROOT / "README.md", ROOT / "GLOSSARY.md", ROOT / "CONTRIBUTING.md") if page.exists()]
PAGES += sorted((ROOT / "docs").glob("**/*.md"))
MODULES = sorted((ROOT / "src" / "fallline").glob("**/*.py"))
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))

# What needs a host, and the package that it is; a page of docs/hosts that is not here is an error.
HOSTS = {
    "docs/hosts/accelerate.md": "accelerate",
    "docs/hosts/lightning.md": "pytorch_lightning",
    "docs/hosts/timm.md": "timm",
    "docs/hosts/transformers.md": "transformers",
    "docs/hosts/writers.md": "tensorboard",
    "src/fallline/integrations/tensorboard.py": "tensorboard",
}
# They run with the other host tests (make hosts); what a host warns of is its authors' business.
HOSTED = [pytest.mark.host, pytest.mark.filterwarnings("default")]

# A shown 0.33 stands for every number within 0.01 of it, and ... for anything.
FLAGS = NUMBER | doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PAGE = Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=FLAGS)])
DOCSTRINGS = Sybil(parsers=[DocTestParser(optionflags=FLAGS)])


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def told(paths: Iterable[Path]) -> list[Any]:
    """The files as cases of a test; those that need a host are run with the hosts."""
    return [pytest.param(path, id=name(path), marks=HOSTED if name(path) in HOSTS else ()) for path in paths]


def run(sybil: Sybil, path: Path) -> int:
    """Run everything that can be run in one file, top to bottom, in one namespace."""
    if path.is_relative_to(ROOT) and name(path) in HOSTS:
        need(HOSTS[name(path)])
    examples = list(sybil.parse(path).examples())
    for example in examples:
        example.evaluate()
    return len(examples)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What prose writes to files does not land in the repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.parametrize("page", told(PAGES))
def test_page(page: Path) -> None:
    run(PAGE, page)


@pytest.mark.parametrize("module", told(m for m in MODULES if ">>>" in m.read_text(encoding="utf-8")))
def test_docstrings(module: Path) -> None:
    assert run(DOCSTRINGS, module), "a '>>>' stands outside of a docstring: nobody would run it"


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_example(script: Path) -> None:
    smoke = os.environ | {"FALLLINE_SMOKE": "1"}  # the script shrinks itself to seconds
    done = subprocess.run([sys.executable, script], env=smoke, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_host_has_a_page_that_runs() -> None:
    pages = {name(page) for page in PAGES if page.parent.name == "hosts"}
    assert pages == {where for where in HOSTS if where.startswith("docs/")}


def test_a_wrong_page_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1 / 3\n```\n\n```python\n>>> x\n0.33\n>>> 2 * x\n0.33\n```\n")
    with pytest.raises(Exception, match=r"Expected:\s+0.33\s+Got:\s+0.66"):
        run(PAGE, page)
