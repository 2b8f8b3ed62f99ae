"""Kernels on a host: compilers that are not there, caches, threads, bytes, long sums."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

import fallline.core.descent
from fallline import AdamW, Bank, Constant, Coupled, Euclid, Rule
from fallline.core.chunk import Readable
from fallline.core.field import inner
from fallline.core.kernel import compiler, formula, native
from fallline.core.kernel.eager import Interpreted
from fallline.core.kernel.fused import Call
from fallline.core.kernel.native import Native, Walk
from fallline.core.kernel.printed import Printed
from fallline.core.kernel.reading import write
from fallline.core.kernel.table import Items, pack, pieces
from fallline.statistics.sample import runs
from kit import OPTIMIZERS, QUICK, differences, owned, snapshot, stream, walk, weights
from laws.kernel import stage
from routes import agree, kinds, pair, routes

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="there is no C compiler")
CPU = torch.device("cpu")
LARGE = ((300, 400), (9,), ())

BOTH = """
import sys, torch
sys.path.insert(0, "tests")
from kit import OPTIMIZERS, owned, stream, walk, weights
opt = OPTIMIZERS["full"](weights())
walk(opt, stream(owned(opt), 3))
print(type(opt._plan.chunks[0].route).__name__, sum(float(p.detach().double().sum()) for p in owned(opt)).hex())
"""


def started(script: str, **given: str) -> subprocess.Popen[str]:
    """A Python of its own."""
    home = Path(__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        cwd=home,
        env=os.environ | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- compilers and caches -----------------------------------------------------------------------------------------


@pytest.fixture
def compile_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], None]]:
    """From now on this is the compiler, and nothing is compiled yet."""

    def forget() -> None:
        native.load.cache_clear()
        formula._known.clear()

    def say(found: str | None) -> None:
        forget()
        monkeypatch.setattr(compiler, "compiler", lambda: found)

    yield say
    forget()


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adamw", "sgd-auto", "adamw-auto"])
def test_without_a_compiler_torchs_kernels_still_walk(name: str, compile_with: Callable[[str | None], None]) -> None:
    """And what has to be scouted before is interpreted."""
    compile_with(None)
    opt = agree(OPTIMIZERS[name], 8, shapes=LARGE)
    (route,) = routes(opt)
    assert type(route) is Printed and type(route.passes[route.tail].run) is Call
    assert name in ("sgd", "nesterov", "adamw") or type(route.passes["scout"].run) is Interpreted


@pytest.mark.parametrize("name", ["full", "late-full", "lion", "lion-auto", "each"])
def test_without_a_compiler_the_rest_walks_readable(name: str, compile_with: Callable[[str | None], None]) -> None:
    compile_with(None)
    opt, other = pair(OPTIMIZERS[name])
    for one in (opt, other):
        walk(one, stream(owned(opt), 4))
    assert kinds(opt) == {Readable} and differences(snapshot(opt)["params"], snapshot(other)["params"]) == []
    with pytest.raises(RuntimeError, match="no C compiler was found"):
        walk(OPTIMIZERS[name]([{"params": weights(), "fused": True}]), stream(weights(), 1))


def test_a_compiler_that_fails_is_told_once(
    compile_with: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With its name; then training goes on."""
    compile_with("/bin/false")
    monkeypatch.setattr(compiler, "_shelf", lambda: tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        opt = agree(OPTIMIZERS["full"], 4)
        agree(OPTIMIZERS["adamw-auto"], 4, shapes=LARGE)
    assert kinds(opt) == {Readable}
    assert len(told) == 1 and "could not compile a kernel with /bin/false" in str(told[0].message)


def test_a_broken_file_in_the_cache_is_built_anew(
    compile_with: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A power cut or a copy that was cut short leaves one; opening half a library would end the process."""
    for share in (1, 0, 0.5):
        (shelf := tmp_path / str(share)).mkdir()
        for file in (tmp_path / "1").glob("*.so"):
            (shelf / file.name).write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
        compile_with(compiler.compiler())
        monkeypatch.setattr(compiler, "_shelf", lambda shelf=shelf: shelf)
        opt = OPTIMIZERS["full"](weights())
        walk(opt, stream(owned(opt), 1))
        assert kinds(opt) == {Printed}


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Where kernels lie if the cache is here."""
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr(compiler.tempfile, "mkdtemp", lambda **_: str(private))

    def find(cache: Path) -> Path:
        monkeypatch.setenv("FALLLINE_CACHE", str(cache))
        compiler._shelf.cache_clear()
        return compiler._shelf()

    yield find
    compiler._shelf.cache_clear()


def test_the_cache_is_where_it_was_asked_for(shelf: Callable[[Path], Path], tmp_path: Path) -> None:
    """And ours alone."""
    found = shelf(tmp_path / "new" / "cache")
    assert found == tmp_path / "new" / "cache" / "kernels" and found.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("case", ["a file", "open kernels", "open cache", "another's", "read-only"])
def test_a_cache_that_is_not_ours_alone_is_not_used(
    case: str, shelf: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies there is executed. Whoever may write to the directory above may put another in its place."""
    cache = tmp_path / "cache"
    if case == "a file":
        cache.touch()
    else:
        (cache / "kernels").mkdir(parents=True, mode=0o700)
    if case == "open kernels":
        (cache / "kernels").chmod(0o770)
    elif case == "open cache":
        cache.chmod(0o770)
    elif case == "another's":
        monkeypatch.setattr(compiler.os, "getuid", lambda: 12345)
    elif case == "read-only":
        monkeypatch.setattr(compiler.os, "access", lambda *_: False)  # chmod does not keep root out
    assert shelf(cache) == tmp_path / "private"


def test_two_processes_build_the_same_kernel_at_once(tmp_path: Path) -> None:
    processes = [started(BOTH, FALLLINE_CACHE=str(tmp_path)) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert told[0][0] == told[1][0] and told[0][0].startswith("Printed ")
    assert {path.suffix for path in (tmp_path / "kernels").iterdir()} == {".so"}


# --- threads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sgd", "adamw", "sgd-auto", "lion-auto", "full", "each-full"])
def test_threads_change_no_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of parameters, memory and what is decided by sums: each piece is summed by one of them."""
    before, pool, asked = torch.get_num_threads(), native._pool, set()
    monkeypatch.setattr(native, "_pool", lambda threads, *rest: asked.add(threads) or pool(threads, *rest))
    found = []
    try:
        for threads in (1, 2, 3):
            opt = OPTIMIZERS[name](weights([(700_001,), (3, 100_000), (33,)]))
            gradients = stream(owned(opt), 3)
            torch.set_num_threads(threads)
            walk(opt, gradients)
            torch.set_num_threads(before)
            found.append(snapshot(opt))
    finally:
        torch.set_num_threads(before)
    for one in found[1:]:
        for a, b in zip(found[0]["params"], one["params"], strict=True):
            assert torch.equal(a, b)
        for a, b in zip(found[0]["state"], one["state"], strict=True):
            assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    assert asked == {1, 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """Threads do not survive a fork: who waits for them waits for ever."""
    script = """
import os, signal, sys, torch
sys.path.insert(0, "tests")
from kit import OPTIMIZERS, owned, stream, walk, weights
torch.set_num_threads(2)
opt = OPTIMIZERS["full"](weights([(600_000,)]))
walk(opt, stream(owned(opt), 2))
process = os.fork()
if not process:
    signal.alarm(20)
    opt.step()
    os._exit(0)
sys.exit(os.waitpid(process, 0)[1])
"""
    process = started(script.replace("import os", "import warnings; warnings.simplefilter('ignore'); import os", 1))
    told = process.communicate(timeout=120)
    assert process.returncode == 0, told


# --- bytes --------------------------------------------------------------------------------------------------------

PEAK = """
import torch
from torch.nn import Parameter
from fallline import SGD, AdamW
torch.set_num_threads(1)

def told(field):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024

ps = [Parameter(torch.zeros(1 << 22)) for _ in range(4)]
for p in ps:
    p.grad = torch.randn_like(p)
for build in (AdamW, lambda ps: AdamW(ps, betas=("auto", 0.999)), lambda ps: SGD(ps, momentum="auto", bank="full")):
    opt = build(ps)
    opt.step()
    grown = []
    for _ in range(2):
        open("/proc/self/clear_refs", "w").write("5")
        before = told("VmRSS")
        opt.step()
        grown.append(told("VmHWM") - before)
    print(max(grown))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells its peak")
def test_a_step_needs_no_room() -> None:
    """Of 16 M parameters: less than 8 MiB beside state, where one temporary would be 64."""
    process = started(PEAK)
    told, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert all(float(grown) < 8 for grown in told.split()) and len(told.split()) == 3, told


def gpt2(d: int = 768, layers: int = 12) -> list[int]:
    """Sizes of GPT-2's tensors."""
    block = [d, d, 3 * d * d, 3 * d, d * d, d, d, d, 4 * d * d, 4 * d, 4 * d * d, d]
    return [50257 * d, 1024 * d, *block * layers, d, d]


def resnet18() -> list[int]:
    """Sizes of a ResNet-18's."""
    sizes, width = [3 * 64 * 49, 64, 64], 64
    for out in (64, 128, 256, 512):
        sizes += [width * out * 9, out, out, *[out * out * 9, out, out] * 3]
        sizes += [width * out, out, out] if width != out else []
        width = out
    return [*sizes, 512 * 1000, 1000]


LISTS = {"gpt-2": gpt2(), "resnet-18": resnet18(), "perceptron": [784 * 1000, 1000, 1000 * 1000, 1000, 10 * 1000, 10]}


def remembered(sizes: list[int]) -> int:
    """Floats that AdamW keeps of tensors of these sizes while it chooses among three."""
    return sum(2 * n + 3 * found.run * found.rows for n, found in zip(sizes, map(runs, sizes), strict=True))


@pytest.mark.parametrize("name", LISTS)
def test_choosing_costs_next_to_no_memory(name: str) -> None:
    """At most 2.05 floats for each parameter, where Adam needs 2."""
    assert remembered(LISTS[name]) <= 2.05 * sum(LISTS[name])


def test_the_bytes_are_those() -> None:
    """Beside sums, clocks and decisions."""
    opt = AdamW(weights([(n,) for n in (3, 700, 5000, 40_000)]), betas=("auto", 0.999))
    assert 0 <= opt.state_bytes() - 4 * remembered([3, 700, 5000, 40_000]) < 1000


# --- long sums ----------------------------------------------------------------------------------------------------

LONG = 1 << 24
TAILS: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": lambda x: x,
    "heavy": lambda x: x.sign() * (3 * x).exp(),
    "tiny": lambda x: 1e-12 * x,
}


@pytest.mark.parametrize("tail", TAILS)
def test_sums_of_sixteen_million_are_good_to_a_millionth(tail: str) -> None:
    """<g, g>, in the field's way and in the kernel's, where <g, u_k> of a fresh average is (1 - beta) <g, g>."""
    g = TAILS[tail](torch.randn(LONG))
    exact = sum(float(part.double().square().sum()) for part in g.split(LONG // 16))
    assert float(inner(g, g)) == pytest.approx(exact, rel=1e-6)
    bank = Bank((0.5, 0.75), QUICK)
    program, _ = write(Rule(bank, Euclid(), Constant(), Coupled()), "first", torch.float32, False)
    held = {"g": [g], "filter.m0": [torch.zeros(LONG)], "filter.m1": [torch.zeros(LONG)], "p": [g]}
    items = Items(pieces([LONG]), CPU)
    run = Native().bind(program, stage(held), items)
    assert type(run) is Walk and sorted({"filter.m0", "filter.m1", "g"}) == [name for name, *_ in program.columns]
    sums = items.gather(run(pack([0.5, 0.25], CPU), True), 1)[0]
    assert sums[:2].tolist() == pytest.approx([exact * 0.5, exact * 0.25], rel=1e-6)


def test_nobody_calls_dot() -> None:
    """On long float32 vectors it is wrong in the third digit, and `inner` says so."""
    for file in Path(fallline.__file__).parent.rglob("*.py"):
        named = [node.attr for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Attribute)]
        assert not {"dot", "vdot"} & set(named), file
    assert "torch.dot" in str(inner.__doc__)
