"""The command line: version, list, help, and what it says when something is missing or wrong."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import fallline
from fallline.cli.__main__ import app, missing

runner = CliRunner()


def test_version():
    told = runner.invoke(app, ["--version"])
    assert told.exit_code == 0
    assert told.stdout.strip() == f"fallline {fallline.__version__}"


def test_list_names_every_registered_optimizer():
    registry = pytest.importorskip("fallline.zoo.registry").REGISTRY
    told = runner.invoke(app, ["list"], env={"COLUMNS": "200"})
    assert told.exit_code == 0
    assert all(name in told.stdout for name in registry)


MODEL = """
import torch

net = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 8), torch.nn.Linear(8, 9))


def make():
    return net


number = 3
"""


@pytest.mark.parametrize("name", ["net", "make"])
def test_show_says_who_obeys_what_and_why(name, tmp_path):
    (tmp_path / "small.py").write_text(MODEL)
    told = runner.invoke(app, ["show", f"{tmp_path / 'small.py'}:{name}"], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    rows = {line.split()[0]: line for line in told.stdout.splitlines() if line}
    assert all(word in rows["1.weight"] for word in ("8×4", "hidden", "outputs by inputs"))
    assert "embedding" in rows["0.weight"]
    assert "Spectral" in told.stdout


def test_show_has_one_layer_of_every_kind():
    for words in (["--demo"], ["--demo", "--heads", "--optimizer", "adamw"]):
        told = runner.invoke(app, ["show", *words], env={"COLUMNS": "200"})
        assert told.exit_code == 0, told.output
        assert all(word in told.stdout for word in ("gate groups=4", "conv out=1", "depthwise", "head.weight"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Name a model"),
        (["nothing"], "names no model"),
        (["nothing.py:net"], "no file nothing.py"),
        (["small:number"], "not callable"),
        (["small:other"], "other"),
        (["--demo", "--optimizer", "fast"], "Unknown optimizer fast"),
    ],
)
def test_show_says_what_is_wrong(words, expected, tmp_path, monkeypatch):
    (tmp_path / "small.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    told = runner.invoke(app, ["show", *words], env={"COLUMNS": "400"})
    assert told.exit_code == 2
    assert expected in told.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nonsense"], "Unknown workload nonsense"),
        (["chars", "--lr", "fast"], "not a list of numbers"),
        (["chars", "--lr", "-1"], "positive numbers"),
        (["chars", "--momentum", "1.0"], "Momenta lie in [0, 1)"),
        (["chars", "--schedule", "linear"], "constant, cosine or both"),
        (["chars", "--optimizer", "fast"], "known are ada"),
        (["chars", "--lr", "inf"], "positive numbers"),
        (["chars", "--bank", ".5,.5"], "two or more different momenta"),
        (["chars", "--out", "/dev/null/here"], "/dev/null"),
        (["chars", "--controls", "--seeds", "1"], "--seeds 2"),
    ],
)
def test_bad_options_are_named(words, expected):
    told = runner.invoke(app, ["race", *words], env={"COLUMNS": "400"})
    assert told.exit_code == 2
    assert expected in told.output


def test_without_the_extra_it_says_how_to_get_it():
    with pytest.raises(SystemExit, match=r'typer.*pip install "fallline\[race\]"'):
        missing("typer")()


def test_importing_fallline_imports_none_of_the_extras():
    code = "import sys, fallline; print(sorted({'typer', 'rich', 'matplotlib', 'sklearn', 'scipy'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
