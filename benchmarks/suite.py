"""Runs the suite and writes the results into docs/suite.md, with its two pictures and all numbers beside it; resumable.

make suite: everything, hours. Words after it are handed on: python -m benchmarks.suite --entrants auto --out FOLDER.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.table import ROOT, rewrite
from fallline.race.suite.page import page

OUT = ROOT / "runs" / "suite"
DOCS = ROOT / "docs"
PICTURES = {"profile.png": "suite-profile.png", "shift.png": "suite-shift.png"}


def main() -> None:
    """Run, then rewrite the page."""
    words = sys.argv[1:]
    out = Path(words[words.index("--out") + 1]) if "--out" in words else OUT
    command = (sys.executable, "-m", "fallline.cli", "race", "suite", "--shift", "--ablate", "--out", str(OUT), *words)
    subprocess.run(command, check=True, cwd=ROOT)
    publish(out, DOCS)


def publish(out: Path, docs: Path) -> None:
    """The results of a folder, as a part of the page, with the numbers beside it."""
    told = json.loads((out / "results.json").read_text(encoding="utf-8"))
    shutil.copy(out / "results.json", docs / "suite.json")
    for name, shown in PICTURES.items():
        shutil.copy(out / name, docs / shown)
    pictures = "\n".join(f"![{name.removesuffix('.png')}]({shown})" for name, shown in PICTURES.items())
    rewrite("results", f"{page(told)}\n{pictures}\n", docs / "suite.md")


if __name__ == "__main__":
    main()
