"""Killed at any moment, a run goes on from its last checkpoint to the last bit; interrupted, an optimizer stays whole.

`make crash` kills a hundred times and more; here are a few.
"""

from __future__ import annotations

import io
import multiprocessing
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

import fallline
import mortal
from fallline import Descent
from fallline.core.kernel.compiler import compiler
from kit import FEW, OPTIMIZERS, differences, owned, snapshot, stream, twins, walk, weights

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9")


@cache
def nursery() -> Any:
    """Where processes are born with torch in their heads already, but without a past."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo", "fallline"])  # which takes seconds
    return context


class Life:
    """A process that runs a function until it ends, or is killed."""

    def __init__(self, act: Callable[..., None], *given: Any, **named: Any) -> None:
        self.ready = nursery().Event()
        self.process = nursery().Process(target=act, args=given, kwargs={"ready": self.ready, **named})
        self.process.start()

    def end(self, after: float | None = None) -> int:
        """Its exit code; -9 if it was killed so many seconds after it was ready."""
        assert self.ready.wait(120)
        if after is not None:
            time.sleep(after)
            self.process.kill()
        self.process.join(120)
        assert self.process.exitcode in (0, -9), "neither did it end nor was it killed"
        return self.process.exitcode


def steps(folder: Path) -> dict[int, set[str]]:
    """What every step came to, in all lives."""
    told: dict[int, set[str]] = {}
    for line in (folder / "log").read_text().splitlines():
        step, _, mark = line.partition(" ")
        told.setdefault(int(step), set()).add(mark)
    return told


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: Any) -> Callable[[str], tuple[dict[int, set[str]], float]]:
    """What every step comes to in a run that nobody kills, and how long it takes."""

    @cache
    def walk_through(name: str) -> tuple[dict[int, set[str]], float]:
        folder = tmp_path_factory.mktemp(name)
        life = Life(mortal.live, name, folder)
        assert life.ready.wait(120)
        begin = time.perf_counter()
        assert life.end() == 0
        return steps(folder), time.perf_counter() - begin

    return walk_through


# --- killed -------------------------------------------------------------------------------------------------------


def die_often(name: str, deaths: int, folder: Path, whole: tuple[dict[int, set[str]], float]) -> str:
    """Kill a run that often at random moments, beginning anew when it gets to its end; then let it live."""
    wanted, span = whole
    dice, killed, drafts, lines = random.Random(name), 0, 0, 0
    while killed < deaths:
        code = Life(mortal.live, name, folder).end(after=dice.uniform(0, 1.2 * span))
        killed += code == -9
        drafts += (folder / "run.draft").exists()
        if code == 0:
            (folder / "run.pt").unlink()
    assert Life(mortal.live, name, folder).end() == 0
    assert steps(folder) == wanted, "some step came to something else than in the run that nobody killed"
    lines = len((folder / "log").read_text().splitlines())
    return f"{name}: {killed} kills, {drafts} of them while a checkpoint was written; {lines} steps, all equal"


@pytest.mark.parametrize("name", ["adamw-auto", "adamw-kahan"])
def test_a_run_that_is_killed_goes_on_to_the_last_bit(name: str, tmp_path: Path, undisturbed: Any) -> None:
    die_often(name, 2, tmp_path, undisturbed(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", mortal.OPTIMIZERS)
def test_a_run_that_is_killed_often_does_too(name: str, tmp_path: Path, undisturbed: Any, capsys: Any) -> None:
    """Twenty times each."""
    told = die_often(name, 20, tmp_path, undisturbed(name))
    with capsys.disabled():
        print(f"\n{told}")


MOMENTS = [("write", 1), ("write", 250), ("fsync", 2), ("replace", 2), ("replaced", 1)]


def test_a_kill_in_the_midst_of_writing_leaves_the_last_checkpoint(tmp_path: Path, undisturbed: Any) -> None:
    """Half a block written, nothing flushed, not yet renamed, just renamed: the next life goes on from what loads."""
    for doom in MOMENTS:
        assert Life(mortal.live, "adamw-auto", tmp_path, doom=doom).end() == -9
    assert torch.load(tmp_path / "run.pt", weights_only=True)["step"] == mortal.EVERY * 4
    assert Life(mortal.live, "adamw-auto", tmp_path).end() == 0
    assert steps(tmp_path) == undisturbed("adamw-auto")[0]


def test_a_careless_checkpoint_is_lost(tmp_path: Path) -> None:
    """The control: the same kill, and nothing to go on from."""
    assert Life(mortal.live, "adamw-auto", tmp_path, doom=("write", 250), safe=False).end() == -9
    with pytest.raises((RuntimeError, EOFError, OSError)):
        torch.load(tmp_path / "run.pt", weights_only=True)


# --- compilers that do not come to their end ----------------------------------------------------------------------


def compile_often(deaths: int, folder: Path) -> None:
    """Kill whoever fills the cache; the last one finds what it needs, or makes it."""
    dice, shelf = random.Random(deaths), folder / "cache" / "kernels"
    for _ in range(deaths):
        Life(mortal.compile_and_walk, folder / "cache", folder / "told").end(after=dice.uniform(0, 1))
    assert Life(mortal.compile_and_walk, folder / "cache", folder / "told").end() == 0
    assert Life(mortal.compile_and_walk, None, folder / "usual").end() == 0
    assert (folder / "told").read_text() == (folder / "usual").read_text()
    assert (folder / "told").read_text().startswith("Printed ") and list(shelf.glob("*.so"))


@pytest.mark.skipif(compiler() is None, reason="nothing to compile with")
def test_a_kill_while_a_kernel_is_compiled_breaks_no_cache(tmp_path: Path) -> None:
    compile_often(1, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="nothing to compile with")
@pytest.mark.parametrize("deaths", range(1, 9))
def test_many_kills_while_kernels_are_compiled_break_no_cache(deaths: int, tmp_path: Path) -> None:
    compile_often(deaths, tmp_path)


# --- interrupted --------------------------------------------------------------------------------------------------

SOURCE = str(Path(fallline.__file__).parent)


class Interruption:
    """Ctrl-C at the n-th line of ours that is run; n = 0 only counts them."""

    def __init__(self, n: int = 0) -> None:
        self.n, self.lines = n, 0

    def __enter__(self) -> Interruption:
        self.before = sys.gettrace()
        sys.settrace(self.enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def enter(self, frame: FrameType, event: str, _: Any) -> Any:
        """Look into our own functions."""
        return self.line if frame.f_code.co_filename.startswith(SOURCE) else None

    def line(self, frame: FrameType, event: str, _: Any) -> Any:
        """Count, and in the end interrupt."""
        self.lines += event == "line"
        if self.lines == self.n and event == "line":
            raise KeyboardInterrupt
        return self.line


def begun(name: str, steps: int) -> Descent:
    """An optimizer that has taken some steps, and has the gradients of the next."""
    opt = OPTIMIZERS[name](weights())
    gradients = stream(owned(opt), steps + 1)
    walk(opt, gradients[:-1])
    for p, g in zip(owned(opt), gradients[-1], strict=True):
        p.grad = g
    return opt


def interrupt(name: str, steps: int, dice: random.Random, times: int) -> None:
    """Interrupt a step at random lines; each time what is left can be saved, loaded and used."""
    with Interruption() as whole:
        begun(name, 0).step()  # what is composed and compiled once is
        whole.lines = 0
    opt = begun(name, steps)
    with Interruption() as whole:
        opt.step()
    good = snapshot(opt)
    for n in sorted(dice.sample(range(1, whole.lines + 1), min(times, whole.lines))):
        opt = begun(name, steps)
        with pytest.raises(KeyboardInterrupt), Interruption(n):
            opt.step()
        assert_whole(opt, name, good)


def assert_whole(opt: Descent, name: str, good: dict[str, Any]) -> None:
    """Keys, shapes and dtypes are as after a step that ended, and a checkpoint of it goes on like the original."""
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    forms = [[{k: (x.dtype, x.shape) for k, x in e.items()} for e in each["state"]] for each in (snapshot(opt), good)]
    assert forms[0] == forms[1]
    other = OPTIMIZERS[name](twins(owned(opt)))
    other.load_state_dict(torch.load(file, weights_only=True))
    for one in (opt, other):
        walk(one, stream(owned(one), 3, seed=9))
    assert all(p.isfinite().all() for p in owned(opt))
    parts = [{key: snapshot(one)[key] for key in ("params", "state")} for one in (opt, other)]
    assert differences(*parts) == []


@pytest.mark.parametrize("steps", [0, 5])
@pytest.mark.parametrize("name", FEW)
def test_an_interrupted_step_leaves_an_optimizer_that_is_whole(name: str, steps: int) -> None:
    """In its first step, where everything is made, and in a later one."""
    interrupt(name, steps, random.Random(name), 3)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 1, 5])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_many_lines_of_a_step_may_be_interrupted(name: str, steps: int) -> None:
    interrupt(name, steps, random.Random(steps), 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_a_signal_may_come_at_any_moment(name: str) -> None:
    """Twenty-five each; between two operations of Python's as in a terminal."""

    def ring(*_: Any) -> None:
        raise KeyboardInterrupt

    good, dice = snapshot(begun(name, 1)), random.Random(name)
    known = signal.signal(signal.SIGALRM, ring)
    try:
        for _ in range(25):
            opt = begun(name, 1)
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-4, 2e-2))
                for _ in range(100_000):
                    opt.step()
            assert_whole(opt, name, good)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, known)
