"""On what a race ran: versions, machine, commit."""

import os
import platform
import subprocess
from pathlib import Path

import torch

from fallline.race.setting import PACKAGE
from fallline.race.store import Record


def processor() -> str:
    """The CPU's name, as well as this system tells it."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def commit() -> str | None:
    """The last commit that touched this package, with "+" when files differ from it; None outside a repository."""
    try:
        last, changed = (git("log", "-1", "--format=%H", "--", "."), git("status", "--porcelain", "--", "."))
    except (OSError, subprocess.CalledProcessError):
        return None
    return last + "+" * bool(changed) if last else None


def git(*words: str) -> str:
    """What git answers in the package's folder."""
    return subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=True).stdout.strip()


def environment() -> Record:
    """Plain data for the results file."""
    import fallline

    return {
        "fallline": getattr(fallline, "__version__", "unknown"),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "platform": platform.system() + " " + platform.machine(),
        "cpu": processor(),
        "cores": os.cpu_count() or 1,
        "commit": commit(),
    }
