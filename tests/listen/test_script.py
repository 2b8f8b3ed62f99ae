"""`fallline listen script.py`: the script runs as Python runs it, and what it trained was heard."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest
from typer.testing import CliRunner, Result

import fallline
from fallline.cli.__main__ import app

TRAIN = """
import torch

def train(steps=9, width=3, lr=0.1):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))
    opt = torch.optim.AdamW(net.parameters(), lr=lr)
    for _ in range(steps):
        opt.zero_grad()
        net(torch.randn(8, 4)).square().mean().backward()
        opt.step()
    return net
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "neighbour.py").write_text(TRAIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "neighbour", raising=False)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["listen", *words], env={"COLUMNS": "100"})


def script(folder: Path, text: str, name: str = "script.py") -> str:
    (folder / name).write_text(dedent(text))
    return name


def test_a_script_finds_its_arguments_its_neighbours_and_its_name(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "near.py").write_text("width = 5")
    name = script(
        folder,
        """
        import argparse, os, sys
        from near import width
        from pathlib import Path
        parser = argparse.ArgumentParser()
        parser.add_argument("--steps", type=int)
        parser.add_argument("-m", action="store_true")
        parser.add_argument("rest", nargs="*")
        if __name__ == "__main__":
            given = parser.parse_args()
            assert given.steps == 3 and given.m and given.rest == ["--out", "a b"], given
            assert sys.argv[0] == "deep/script.py" and Path(sys.path[0]).name == "deep"
            assert Path(__file__).is_absolute() and sys.modules["__main__"].__file__ == __file__
            assert sys.modules["__main__"].given is given
            print("all as ever", width)
        """,
        "deep/script.py",
    )
    argv, path = list(sys.argv), list(sys.path)
    told = run("--window", "4", name, "-m", "--steps", "3", "--", "--out", "a b")
    sys.modules.pop("near")
    assert told.exit_code == 0, told.output
    assert "all as ever 5" in told.stdout
    assert "No optimizer of torch took a step in this process" in told.stderr
    assert sys.argv == argv and sys.path == path


def test_what_was_heard_is_told_and_written(folder: Path) -> None:
    name = script(folder, "from neighbour import train; train(40)")
    told = run("--window", "4", "--batch", "8", "--out", "here", name)
    assert told.exit_code == 0, told.output
    said = json.loads((folder / "here" / "Sequential.json").read_text())
    assert said["heard"]["steps"] == 40 and said["heard"]["total"]["critical_batch"]
    assert "Sequential: 40 steps" in told.stdout and "Sequential.html" in told.stdout
    assert (folder / "here" / "Sequential.html").read_text()


def test_a_module_runs_as_with_python_m(folder: Path) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "part.py").write_text("lr = 0.3")
    script(
        folder,
        """
        import sys
        from neighbour import train
        from .part import lr
        train(9, lr=lr)
        print(sys.argv[1:], sys.argv[0].endswith("program.py"))
        """,
        "package/program.py",
    )
    told = run("-m", "package.program", "--lr", "1")
    assert told.exit_code == 0, told.output
    assert "['--lr', '1'] True" in told.stdout
    assert "Too few for error bars: at least 16 steps must be heard, and 9 were." in told.stdout
    assert run("-m", "package.nothing").exit_code == 1


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('that was all')", 1, "that was all"),
        ("raise SystemExit(None)", 0, ""),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("def f(:", 1, "SyntaxError"),
    ],
)
def test_it_ends_as_the_script_does(folder: Path, end: str, code: int, said: str) -> None:
    text = f"import sys\nfrom neighbour import train\ntrain()\n{end}\n"
    told = run(script(folder, text))
    assert told.exit_code == code, told.output
    assert said in told.output
    assert ("Sequential: 9 steps" in told.stdout) != (end == "def f(:")


def test_a_traceback_begins_in_the_script(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)  # torch.distributed, once used here, has put its own
    name = script(folder, "def deep():\n    raise ValueError('here')\n\ndeep()\n")
    direct = subprocess.run([sys.executable, name], capture_output=True, text=True)
    told = run(name)
    assert told.exit_code == direct.returncode == 1
    assert told.stderr.endswith(direct.stderr)


def test_numbers_are_those_of_a_run_without_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
    import random, torch
    from neighbour import train
    random.seed(1)
    net = train(20)
    print("sum", *(float(p.detach().double().sum()) for p in net.parameters()), torch.rand(()).item(), random.random())
    """
    name = script(folder, text)
    monkeypatch.syspath_prepend(str(folder))
    runpy.run_path(name)
    direct = capsys.readouterr().out.strip()
    told = run("--steps", "12", name)
    assert told.exit_code == 0, told.output
    assert direct.startswith("sum") and direct in told.stdout.splitlines()
    assert "Sequential: 12 steps" in told.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_real_interrupt_ends_in_a_report(folder: Path) -> None:
    name = script(
        folder, "from neighbour import train\ntrain(40)\nprint('now', flush=True)\nimport time\ntime.sleep(60)"
    )
    words = [sys.executable, "-m", "fallline.cli", "listen", "--window", "4", name]
    env = os.environ | {"PYTHONPATH": str(Path(fallline.__file__).parent.parent)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout is not None and child.stdout.readline() == "now\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=300)
    assert child.returncode == 130 and "Sequential: 40 steps" in out
    assert err.rstrip().endswith("KeyboardInterrupt") and "runpy" not in err
    assert (folder / "runs" / "listen" / "Sequential.html").exists()


def test_two_models(folder: Path) -> None:
    text = "from neighbour import train\n" + indent("train()\ntrain()\n", "")
    told = run(script(folder, text))
    assert "Sequential: 9 steps" in told.stdout and "Sequential-2: 9 steps" in told.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Name a script to run"),
        (["--demo", "train.py"], "Name a script to run"),
        (["nothing.py"], "There is no program nothing.py"),
        (["--batch", "-1", "train.py"], "Invalid --batch"),
        (["--every", "0", "train.py"], "--every"),
        (["--fast", "train.py"], "--fast"),
    ],
)
def test_bad_options_are_named(folder: Path, words: list[str], expected: str) -> None:
    told = run(*words)
    assert told.exit_code == 2
    assert expected in told.output


def test_the_demo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.cli.listening.DEMO", {"digits-mlp": 9})
    told = run("--demo", "--live")
    assert told.exit_code == 0, told.output
    assert "digits-mlp: 9 steps" in told.stdout
