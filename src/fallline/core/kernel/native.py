"""Programs compiled once with the machine's own C compiler, kept on disk, called through ctypes.

Where there is no compiler, or FALLLINE_NATIVE=0, `load` gives None and the readable rule walks instead.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..chunk import Fit
from .c import text
from .printed import Fields, Run
from .symbol import Number, Program
from .table import Items, pack

FLAGS = ("-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")


@lru_cache(maxsize=1)
def compiler() -> str | None:
    """The C compiler: $CC, or what is called cc, gcc or clang; None if there is none or it is not wanted."""
    if os.environ.get("FALLLINE_NATIVE", "1") == "0" or os.name == "nt":
        return None
    return next(filter(None, map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang"))), None)


@lru_cache(maxsize=1)
def _shelf() -> Path:
    """Where compiled kernels are kept: ours alone, since what lies there is executed."""
    root = Path(os.environ.get("FALLLINE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "fallline"))
    try:
        shelf = root.expanduser() / "kernels"
        shelf.mkdir(parents=True, exist_ok=True, mode=0o700)
        told = shelf.stat()
        if (
            told.st_uid == os.getuid()
            and not _shared(shelf)
            and not _shared(shelf.parent)
            and os.access(shelf, os.W_OK)
        ):
            return shelf
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="fallline-"))


def _shared(folder: Path) -> bool:
    """Whether others may rename what lies in it."""
    mode = folder.stat().st_mode
    return bool(mode & 0o022) and not mode & 0o1000


@lru_cache(maxsize=1)
def _machine() -> str:
    """What -march=native depends on: a cache in a shared home must not serve another kind of machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return f"{platform.machine()} {platform.processor()}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _find(mark: str) -> Path | None:
    """A kernel that was built before: `mark-digest.so`, if it is what its name says.

    One that was cut short by a lost disk or a copy would not fail to load but end the process.
    """
    found = sorted(_shelf().glob(f"{mark}-*.so"))
    return next((file for file in found if file.stem.endswith(_digest(file))), None)


def _build(source: str, mark: str) -> Path:
    with tempfile.TemporaryDirectory(dir=_shelf()) as room:
        page, product = Path(room, "kernel.c"), Path(room, "kernel.so")
        page.write_text(source, encoding="utf-8")
        subprocess.run([str(compiler()), *FLAGS, "-o", str(product), str(page), "-lm"], check=True, capture_output=True)
        # whole or not at all: other processes may build the same, and this one may be killed at any moment
        return product.replace(_shelf() / f"{mark}-{_digest(product)}.so")


TOLD: set[str] = set()


def _complain(who: str, why: str) -> None:
    """Warn once for each compiler."""
    if who not in TOLD:
        TOLD.add(who)
        warnings.warn(
            f"Fallline could not compile a kernel with {who} and goes on with the readable rule, which is slower: "
            f"{why} (FALLLINE_NATIVE=0 stops the attempt.)",
            stacklevel=2,
        )


@cache
def load(program: Program) -> Callable[..., Any] | None:
    """The program as a function of addresses; None where it cannot be had."""
    if compiler() is None:
        return None
    source = text(program)
    mark = hashlib.sha256("\n".join([source, str(compiler()), *FLAGS, _machine()]).encode()).hexdigest()[:32]
    try:
        run = ctypes.CDLL(str(_find(mark) or _build(source, mark))).run
    except (OSError, subprocess.CalledProcessError) as error:
        told = getattr(error, "stderr", None) or b""
        _complain(str(compiler()), f"{error} {told.decode(errors='replace')[:500]}")
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    run.argtypes, run.restype = [pointer, pointer, number, number, pointer, number, pointer], None
    return run


class Native:
    """Programs as C, on the host's own memory."""

    def bind(self, program: Program, fields: Fields, items: Items) -> Run | None:
        """The program over these tensors; None without a compiler, or on another device."""
        run = load(program) if fields.device.type == "cpu" else None
        return Walk(run, program, fields, items) if run else None


class Walk:
    """A compiled program over the tensors of a chunk."""

    numberless = False

    def __init__(self, run: Callable[..., None], program: Program, fields: Fields, items: Items) -> None:
        self.run, self.fields, self.items = run, fields, items
        names = [name for name, *_ in program.columns]
        self.base = (ctypes.c_void_p * len(names))(*(fields.addresses[name].data_ptr() for name in names))
        self.whole = list(self.base)
        self.sums = torch.zeros(len(items.given), len(program.sums), dtype=torch.float64)
        self.spare = spare(program)
        self.moves = any(names[column] == "p" for column, _ in program.stores)

    def __call__(self, given: list[Number], fit: Fit) -> Tensor:
        """Walk over all items, each thread over a range of them; ctypes lets them run side by side."""
        if not fit:
            return self.sums.zero_()
        numbers, width = pack(given, self.fields.device)
        for column, slot, other in self.spare:  # what is multiplied by 0 need not be fetched
            silent = width == 0 and float(numbers[3 * slot]) == 0.0
            self.base[column] = self.whole[other if silent else column]
        table, c, sums = self.items.table.data_ptr(), numbers.data_ptr(), self.sums.data_ptr()
        spread(self.items, lambda first, last: self.run(self.base, table, first, last, c, width, sums))
        if self.moves:  # autograd must notice; it does not see what goes through addresses
            torch.autograd.graph.increment_version(self.fields.columns["p"])
        return self.sums


def spare(program: Program) -> list[tuple[int, int, int]]:
    """Columns that are only read, and only to be multiplied by a number: (column, its slot, a column read anyway)."""
    ops, written = program.ops, {column for column, _ in program.stores}
    found = {}
    for place, op in enumerate(ops):
        users = [other for other in ops if other[0] not in ("load", "number") and place in other[1:]]
        number = ops[users[0][2]] if len(users) == 1 and users[0][0] == "mul" else ("",)
        if op[0] == "load" and op[1] not in written and number[0] == "number" and number[2] == "plain":
            found[op[1]] = number[1]
    kinds = {c[1:]: i for i, c in enumerate(program.columns) if c[0] == "p"}  # finite, if anything is
    return [(i, slot, kinds[kind]) for i, slot in found.items() if (kind := program.columns[i][1:]) in kinds]


ALONE = 1 << 18  # coordinates below which a second thread costs more than it gives


def spread(items: Items, work: Callable[[int, int], None]) -> None:
    """Give every thread of torch's a range of the items."""
    threads = min(torch.get_num_threads(), items.size // ALONE)
    if threads < 2:
        return work(0, len(items.given))
    (here, *others) = items.shares(threads)
    pending = [_pool(threads - 1, os.getpid()).submit(work, *share) for share in others]
    try:
        work(*here)
    finally:
        wait(pending)  # also after Ctrl-C: they write to memory that is ours only until then
    for each in pending:
        each.result()


@lru_cache(maxsize=4)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    # one for each process: threads do not survive a fork, and a pool that thinks they did waits for ever
    return ThreadPoolExecutor(threads, thread_name_prefix="fallline")
