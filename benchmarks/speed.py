"""Times optimizers against torch's fused ones, and rewrites docs/speed.md, speed.json and speed.svg: make speed.

    python -m benchmarks.speed                                       # all but what compiles, about an hour
    python -m benchmarks.speed --compiled                            # adds the compiled rows, which take minutes each
    python -m benchmarks.speed --lists resnet50 --rows 'adamw-auto*' # part of the table
    python -m benchmarks.speed --parts page                          # draws the page from the numbers that are there

A later run replaces the numbers that it measures anew and leaves the others. Every list has a process of its own.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer

from benchmarks import inner, sampling
from benchmarks.contender import ROWS
from benchmarks.ledger import Ledger, Record
from benchmarks.page import write
from benchmarks.picture import draw
from benchmarks.row import PEERS, Row, release
from benchmarks.shape import LISTS
from fallline.race.environment import environment

ROOT = Path(__file__).parent.parent
PARTS = ("imports", "starts", "steps", "inner", "sampling", "page")
IMPORT = "import time, torch; s = time.perf_counter(); import {}; print(time.perf_counter() - s)"
say = partial(print, file=sys.stderr, flush=True)


def words(text: str, known: Any) -> list[str]:
    """Comma-separated names, each one known."""
    given = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [word for word in given if word not in known]:
        raise typer.BadParameter(f"unknown {', '.join(unknown)}; known are {', '.join(known)}")
    return given


def chosen(patterns: str, compiled: bool) -> list[Row]:
    """The rows asked for: those that compile, or those that do not."""
    wanted = patterns.split(",")
    rows = [row for row in ROWS.values() if row.compiled == compiled and any(fnmatch(row.name, p) for p in wanted)]
    if not rows:
        raise typer.BadParameter(f"no row is called {patterns}; rows are {', '.join(ROWS)}")
    return rows


def command(given: list[str]) -> str:
    """What was typed, without the folder, which is one machine's own."""
    kept = [word for before, word in zip(["", *given], given, strict=False) if "--out" not in (before, word)]
    return shlex.join(["python", "-m", "benchmarks.speed", *kept])


def machine(typed: str, rounds: int, seed: int) -> Record:
    """What is measured with, on what, and when."""
    peers = {package: release(package) for package in PEERS}
    told = {"command": typed, "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "rounds": rounds}
    return told | {"seed": seed, "load_before": os.getloadavg()[0], "environment": environment(), "peers": peers}


def worker(module: str, job: Record) -> Any:
    """What a fresh process finds out; None, and a word on the screen, if it dies."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        threads = str(job["threads"])
        env = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        call = (sys.executable, "-m", f"benchmarks.{module}", json.dumps(job | {"out": str(out)}))
        done = subprocess.run(call, cwd=ROOT, env=env)
        if done.returncode:
            say(f"benchmarks.{module} ended with {done.returncode}: {job}")
        return json.loads(out.read_text()) if out.exists() else None


def imports(ledger: Ledger, repeats: int) -> None:
    """Seconds that `import x` adds to `import torch`, of us and of the peers that are installed."""
    for package in ("fallline", *(package for package in PEERS if release(package))):
        call = (sys.executable, "-c", IMPORT.format(package))
        runs = [subprocess.run(call, cwd=ROOT, capture_output=True, text=True) for _ in range(repeats)]
        seconds = [float(run.stdout.split()[-1]) for run in runs if run.returncode == 0]
        if seconds:
            ledger.add("imports", [{"package": package, "seconds": median(seconds), "repeats": len(seconds)}])


def starts(ledger: Ledger, rows: list[Row], lists: list[str], repeats: int, tiny: bool) -> None:
    """First steps in fresh processes, one thread; what compiles does so once, with an empty cache."""
    for name in lists:
        for row in (row for row in rows if row.installed and row.drawn and (LISTS[name].start or row.compiled)):
            job = {"row": row.name, "list": name, "threads": 1, "tiny": tiny}
            found = [worker("start", job) for _ in range(1 if row.compiled else repeats)]
            whole = [one for one in found if one]
            if whole:
                medians = {key: median(one[key] for one in whole) for key in whole[0]}
                ledger.add("starts", [{"list": name, "row": row.name, "repeats": len(whole), **medians}])
                say(f"{name} {row.name}: first step {medians['built'] + medians['first']:.3f} s")


def steps(ledger: Ledger, rows: list[Row], lists: list[str], threads: list[int], job: Record) -> None:
    """The table itself: a process for each list and number of threads."""
    names = [row.name for row in rows if row.installed]
    for name in lists:
        for n in threads:
            found = worker("pace", job | {"list": name, "threads": n, "rows": names})
            records = found["records"] if found else []
            # A baseline that nobody asked for, as under --compiled, does not replace the one of the table.
            known = {one["row"] for one in ledger.tables["steps"] if (one["list"], one["threads"]) == (name, n)}
            ledger.add("steps", [one for one in records if one["row"] in names or one["row"] not in known])


def main(
    lists: Annotated[str, typer.Option(help="Lists of tensors, separated by commas.")] = ",".join(LISTS),
    threads: Annotated[str, typer.Option(help="Numbers of threads, separated by commas.")] = "1,2",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; fewer, but not under 15, after --limit.")] = 41,
    limit: Annotated[float, typer.Option(help="Seconds for each row, after which a group may end.")] = 8.0,
    rows: Annotated[str, typer.Option(help="Names or patterns of rows, separated by commas.")] = "*",
    parts: Annotated[str, typer.Option(help="What to do, separated by commas.")] = ",".join(PARTS),
    repeats: Annotated[int, typer.Option(min=1, help="Fresh processes for each first step and import.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the numbers and of the order.")] = 0,
    compiled: Annotated[bool, typer.Option("--compiled", help="The rows that compile, and only these.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny lists, to see that it runs: no figures.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of speed.md, speed.json and speed.svg.")] = ROOT / "docs",
) -> None:
    """Time optimizers against torch's fused ones."""
    if quick and out == ROOT / "docs":
        raise typer.BadParameter("--quick measures nothing; give it an --out of its own")
    todo, on, asked = words(parts, PARTS), words(lists, LISTS), chosen(rows, compiled)
    ledger = Ledger(out / "speed.json", machine(command(sys.argv[1:]), rounds, seed))
    job = {"rounds": rounds, "least": min(rounds, 15), "limit": limit, "stretch": 0 if quick else 0.02}
    if compiled:
        todo = [part for part in todo if part in ("starts", "steps", "page")]
        empty = tempfile.TemporaryDirectory()  # first steps find nothing compiled, later ones do
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty.name
    tasks = {
        "imports": lambda: imports(ledger, repeats),
        "starts": lambda: starts(ledger, asked, on, repeats, quick),
        "steps": lambda: steps(
            ledger, asked, on, [int(n) for n in threads.split(",")], job | {"seed": seed, "tiny": quick}
        ),
        "inner": lambda: ledger.add("inner", inner.table(quick)),
        "sampling": lambda: [ledger.add("sampling", records) for records in sampling.tables(quick)],
        "page": lambda: (draw(ledger, out / "speed.svg"), write(ledger, ROOT / "docs" / "speed.md", out / "speed.md")),
    }
    torch.set_num_threads(1)  # here, where nothing is timed
    for part in (part for part in PARTS if part in todo):
        say(f"--- {part}")
        tasks[part]()


if __name__ == "__main__":
    typer.run(main)
