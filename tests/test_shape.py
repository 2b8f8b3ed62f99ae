"""The shape of the code: budgets, names, arrows and manners of DESIGN sections 8 and 9, held by tests.

Whoever needs an exception adds it by name, with the reason, to EXCEPTIONS. One that is no longer needed must go.
"""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "fallline"
FILES = sorted(SOURCE.glob("**/*.py"))
FOLDERS = sorted({file.relative_to(SOURCE).parts[0] for file in FILES if file.parent != SOURCE})

FILE_LINES = 250
FUNCTION_LINES = 30  # nine of ten; DESIGN section 9
MEDIAN_LINES = 8
ALGORITHM_LINES = 40  # a part with its docstring
INTEGRATION_LINES = 100  # what a host needs is little, or the engine lacks something

# "core/descent.py", "core/descent.py::Descent.step" or "selectors/greedy.py::Greedy": why the budget cannot be kept.
EXCEPTIONS: dict[str, str] = {
    "filters/candidate.py::Candidates": "what Bank and Probe share, the whole life of a choice: an interface",
    "combines/mechanic.py::OuterScale": "a combine that remembers, measures, decides, scales and shows: an interface",
    "combines/extragradient.py::_Extragradient": "three sequences, two averages, and how far they will be",
    "combines/modelled.py::Modelled": "two gradients, measured, decided and moved by: an interface",
    "combines/primal.py::PrimalAverage": "four numbers to check, and three sequences that only make sense together",
    "steps/anchored.py::AnchoredStep": "a step that remembers, measures five numbers, decides and shows: an interface",
    "maps/hill.py::Hill": "a whole optimizer that forgets all at once, so that it cannot be two parts",
    "steps/lipschitz.py::AdGDStep": "a step that remembers, measures, decides and shows: an interface",
    "steps/prodigy.py::ProdigyStep": "a step that weighs, remembers, measures, decides and shows: an interface",
    "filters/probe.py::Probe": "two memories, a sample and a full buffer; apart, nobody would see how they meet",
}

# Who may import whom; "." is the package itself. A folder that is not here is not in DESIGN section 8 either.
PARTS = ["gradients", "filters", "maps", "metrics", "selectors", "steps", "combines", "writes", "wrappers"]
PARTS += ["statistics"]
BELOW_ZOO = {"core", "theory", "distributed", *PARTS}
ON_TOP = {"race", "listen", "integrations"}
MAY_IMPORT: dict[str, set[str]] = {
    "core": {"core"},
    "theory": {"theory"},  # the oracle of everything else: it must not rest on what it checks
    **{part: {part, "core", "statistics"} for part in PARTS},
    "distributed": {"core", "statistics", "distributed"},
    "zoo": {"zoo"} | BELOW_ZOO,
    ".": {"zoo"} | BELOW_ZOO | {"."},
    **{top: {"zoo"} | BELOW_ZOO | ON_TOP | {"."} for top in ON_TOP},
    "cli": {"zoo", "cli"} | BELOW_ZOO | ON_TOP | {"."},
}

HEAVY = ["matplotlib", "sklearn", "typer", "rich", "scipy", "triton", "torchvision"]
HEAVY += ["transformers", "accelerate", "pytorch_lightning", "timm", "peft", "tensorboard", "wandb"]
VAGUE_FILES = {"util", "utils", "helper", "helpers", "misc", "base", "common"}
VAGUE_CLASS = re.compile(r"^Base|(Manager|Handler)$")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def name(file: Path) -> str:
    return file.relative_to(SOURCE).as_posix()


def folder(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0] if file.parent != SOURCE else "."


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def within(*folders: str) -> list[Path]:
    return [file for file in FILES if folder(file) in folders]


def definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    """All functions and classes, methods and inner ones too, under the names that EXCEPTIONS uses."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            yield prefix + child.name, child
            yield from definitions(child, f"{prefix}{child.name}.")
        else:
            yield from definitions(child, prefix)


def lines_of(node: ast.stmt) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def docstring(node: Definition) -> set[int]:
    """The lines that a docstring covers."""
    return lines_of(node.body[0]) if ast.get_docstring(node) is not None else set()


def functions() -> dict[str, int]:
    """Lines of every function, from `def` to the end, without the docstring."""
    named = (pair for file in FILES for pair in definitions(tree(file), f"{name(file)}::"))
    return {where: len(lines_of(node) - docstring(node)) for where, node in named if isinstance(node, Function)}


def algorithm(node: Definition, text: list[str]) -> int:
    """Lines of a part with its own docstring, but without blank lines and the docstrings of its methods."""
    said = set().union(*(docstring(inner) for _, inner in definitions(node, "")))
    return len({line for line in lines_of(node) - said if text[line - 1].strip()})


def algorithms() -> dict[str, int]:
    """Every class and function of the folders of parts."""
    texts = {file: file.read_text(encoding="utf-8").splitlines() for file in within(*PARTS)}
    nodes = ((file, node) for file in texts for node in tree(file).body if isinstance(node, Definition))
    return {f"{name(file)}::{node.name}": algorithm(node, texts[file]) for file, node in nodes}


def file_lines() -> dict[str, int]:
    return {name(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}


def over(lengths: dict[str, int], budget: int) -> dict[str, int]:
    return {where: lines for where, lines in lengths.items() if lines > budget}


def calls(file: Path) -> Iterator[tuple[int, str]]:
    """Every call as (line, the last name in front of the bracket)."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            called = node.func
            yield node.lineno, getattr(called, "attr", getattr(called, "id", ""))


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Every import of ours as (line, folder); the package's root is "."."""
    package = ("fallline", *file.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, room(alias.name.split("."))) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            stem = [*start, *(node.module or "").split(".")]
            yield from ((node.lineno, room([*stem, alias.name])) for alias in node.names)


def room(path: list[str]) -> str:
    """The folder of ours that a dotted path leads to, or "" if it leads elsewhere."""
    inside = [step for step in path if step]
    if inside[0] != "fallline":
        return ""
    return inside[1] if len(inside) > 1 and inside[1] in MAY_IMPORT else "."


# --- budgets ------------------------------------------------------------------------------------------------------


def test_functions_are_short() -> None:
    lengths = {where: lines for where, lines in functions().items() if where not in EXCEPTIONS}
    assert statistics.median(lengths.values()) <= MEDIAN_LINES
    long = over(lengths, FUNCTION_LINES)
    assert len(long) <= len(lengths) / 10, f"more than a tenth of the functions are over {FUNCTION_LINES} lines: {long}"


def test_files_are_short() -> None:
    long = over(file_lines(), FILE_LINES).keys() - EXCEPTIONS
    assert not long, f"over {FILE_LINES} lines: split along the ideas, or give a reason in EXCEPTIONS"


def test_integrations_are_small() -> None:
    lengths = {where: lines for where, lines in file_lines().items() if where.startswith("integrations/")}
    assert lengths and not over(lengths, INTEGRATION_LINES - 1)


def test_algorithms_fit_on_a_screen() -> None:
    long = {where: lines for where, lines in over(algorithms(), ALGORITHM_LINES).items() if where not in EXCEPTIONS}
    assert not long, f"over {ALGORITHM_LINES} lines with the docstring"


def test_exceptions_are_needed() -> None:
    needed = over(functions(), FUNCTION_LINES) | over(algorithms(), ALGORITHM_LINES) | over(file_lines(), FILE_LINES)
    assert EXCEPTIONS.keys() <= needed.keys()


# --- names, manners and arrows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=name)
def test_public_things_are_explained(file: Path) -> None:
    module = tree(file)
    assert ast.get_docstring(module), "a file opens with what it is for"
    public = [node for node in module.body if isinstance(node, Definition) and not node.name.startswith("_")]
    silent = [node.name for node in public if ast.get_docstring(node) is None]
    assert not silent or folder(file) == "cli" or file.stem.startswith("_")


@pytest.mark.parametrize("file", FILES, ids=name)
def test_names_say_what_a_thing_is(file: Path) -> None:
    assert file.stem not in VAGUE_FILES
    classes = [node.name for node in ast.walk(tree(file)) if isinstance(node, ast.ClassDef)]
    assert not list(filter(VAGUE_CLASS.search, classes))


@pytest.mark.parametrize("file", FILES, ids=name)
def test_only_field_and_kernel_name_foreach(file: Path) -> None:
    allowed = name(file) in {"core/field.py", "core/kernel.py"}
    assert allowed or not re.search(r"(?<!\w)_foreach", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", within("core", *PARTS), ids=name)
def test_no_number_leaves_the_device(file: Path) -> None:
    waits = [line for line, called in calls(file) if called == "item"]
    assert not waits, f".item() makes the host wait for the device, in lines {waits}"


@pytest.mark.parametrize("file", within(*PARTS), ids=name)
def test_parts_inherit_interfaces_only(file: Path) -> None:
    supers = [line for line, called in calls(file) if called == "super"]
    assert not supers, f"a part is abstract or final: no super(), in lines {supers}"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_arrows_point_one_way(file: Path) -> None:
    assert folder(file) in MAY_IMPORT, "a folder that DESIGN section 8 does not know"
    assert (file.parent / "__init__.py").exists()
    allowed = MAY_IMPORT[folder(file)]
    wrong = [f"line {line} imports {target}" for line, target in imported(file) if target not in allowed | {""}]
    assert not wrong, f"{folder(file)} may import {sorted(allowed)}"


def test_import_brings_in_torch_alone() -> None:
    script = (
        "import sys, torch; before = set(sys.modules); import fallline; "
        f"print(*sorted(({set(HEAVY)} & sys.modules.keys()) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], "importing fallline loads what only an extra installs"


# --- the repository -----------------------------------------------------------------------------------------------


def kept() -> list[Path]:
    """What git keeps, or would keep after an add."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True) if shutil.which("git") else None
    if done is None or done.returncode:
        pytest.skip("not a git checkout")
    return [Path(path) for path in done.stdout.split("\0") if (ROOT / path).is_file()]


def test_no_paths_of_one_machine() -> None:
    absolute = re.compile(rb"(?<![\w.~}])/(tmp|work|root|home)/\w")
    assert not [str(path) for path in kept() if absolute.search((ROOT / path).read_bytes())]


def test_readme_has_one_line_per_folder() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README yet")
    lines = re.findall(r"^[\s|*`\-├└─│]*(?:src/fallline/)?([a-z]+)/(?![\w.])", readme.read_text(encoding="utf-8"), re.M)
    listed = [one for one in lines if not (ROOT / one).is_dir()]  # benchmarks/, docs/ and the like may be listed too
    assert sorted(listed) == FOLDERS, "a line for each folder opens with its name: `core/` ..."


def test_no_file_is_called_as_what_its_folder_exports() -> None:
    """Importing the file would put a module where the name is expected, depending on who imports first."""
    for index in sorted([*SOURCE.glob("**/__init__.pyi"), SOURCE / "theory" / "__init__.py"]):
        tree = ast.parse(index.read_text(encoding="utf-8"))
        names = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
        files = {one.stem for one in index.parent.iterdir() if one.suffix == ".py" or one.is_dir()}
        assert not names & files, f"{index.parent.name}: {names & files}"
