"""The machine's own C compiler: pages of C compiled once, kept on disk, opened through ctypes.

Where there is no compiler, or FALLLINE_NATIVE=0, `library` gives None and everything walks as it is written instead.
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
from functools import lru_cache
from pathlib import Path
from typing import Any

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
    """A library that was built before, `mark-digest.so`, if it is what its name says.

    One that a copy or a power cut has cut short may open all the same, and then ends the process.
    """
    found = sorted(_shelf().glob(f"{mark}-*.so"))
    return next((file for file in found if file.stem.endswith(_digest(file))), None)


def _build(source: str, mark: str) -> Path:
    with tempfile.TemporaryDirectory(dir=_shelf()) as room:
        page, product = Path(room, "kernel.c"), Path(room, "kernel.so")
        page.write_text(source, encoding="utf-8")
        subprocess.run([str(compiler()), *FLAGS, "-o", str(product), str(page), "-lm"], check=True, capture_output=True)
        # whole or not at all: others may build the same, and this process may be killed at any moment
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


def library(source: str) -> Any:
    """A page of C as a ctypes library; None where it cannot be had."""
    if compiler() is None:
        return None
    mark = hashlib.sha256("\n".join([source, str(compiler()), *FLAGS, _machine()]).encode()).hexdigest()[:32]
    try:
        return ctypes.CDLL(str(_find(mark) or _build(source, mark)))
    except (OSError, subprocess.CalledProcessError) as error:
        told = getattr(error, "stderr", None) or b""
        _complain(str(compiler()), f"{error} {told.decode(errors='replace')[:500]}")
        return None
