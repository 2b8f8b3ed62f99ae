"""Runs the races of README's tables and writes the tables anew; resumable.

make table: fixed momenta against self-choosing ones, 20 minutes on two cores. make norms: the optimizers of norms and
roles against AdamW, 6 minutes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fallline.race.environment import environment

ROOT = Path(__file__).parent.parent
OUT = ROOT / "runs" / "table"
RACES = {
    "chars": "--steps 400 --lr 0.001,0.002,0.004,0.008,0.016 --momentum 0,0.5,0.8,0.9,0.99 --schedule cosine",
    "digits-mlp": "--lr 0.001,0.003,0.01,0.03 --momentum 0,0.5,0.8,0.9,0.99 --schedule cosine",
    "quadratic": "--optimizer sgd --momentum 0,0.5,0.9,0.99 --schedule constant",
}
NAMES = "adamw muon muon-auto scion normuon soap"
NORMS = f"--optimizer {NAMES} --quick --steps 150 --schedule cosine"


def run(workload: str, words: str, out: Path = OUT) -> dict[str, Any]:
    """Race on a workload, or pick up where an earlier call stopped; the results."""
    options = (*words.split(), "--seeds", "3", "--out", str(out))
    subprocess.run((sys.executable, "-m", "fallline.cli", "race", workload, *options), check=True, cwd=ROOT)
    results: dict[str, Any] = json.loads((out / workload / "results.json").read_text())
    return results


def line(row: dict[str, Any]) -> str:
    """One contender: best lr, loss with its spread, and how far from the best fixed momentum."""
    if row["validation"] is None:
        return f"| {row['label']} | – | diverged | – |"
    gap = row["to_best_fixed"]
    apart = f"{100 * gap['difference']:+.1f} ± {100 * gap['spread']:.1f} %" if gap["spread"] is not None else "–"
    if gap["other"] == row["label"]:
        apart = "–" if row["contender"] == "named" else "best fixed"
    return f"| {row['label']} | {row['lr']:g} | {row['validation']:.4f} ± {row['spread']:.4f} | {apart} |"


def section(results: dict[str, Any]) -> str:
    """A workload's table, and what it says in words."""
    plan, machine = results["plan"], results["environment"]
    head = f"**{results['title'][0].upper()}{results['title'][1:]}**: {plan['optimizer']}, {plan['steps']} steps, "
    grids: dict[str, set[float]] = {}
    for one in results["runs"]:
        grids.setdefault(one["label"], set()).add(one["setting"]["lr"])
    tried = " to ".join(str(n) for n in sorted({min(map(len, grids.values())), max(map(len, grids.values()))}))
    rival = plan["names"][0] if plan["names"] else "the best fixed momentum"
    told = f"{plan['schedules'][0]} lr, best of {tried} learning rates, {plan['seeds']} seeds.\n\n"
    columns = f"| contender | best lr | {results['metric']} | against {rival} |\n|---|---|---|---|\n"
    words = " ".join(results["verdicts"])
    where = f"torch {machine['torch']}, Python {machine['python']}, {machine['cpu']}, {machine['cores']} cores"
    return f"{head}{told}{columns}" + "\n".join(map(line, results["rows"])) + f"\n\n{words}\n({where}.)\n"


def rewrite(mark: str, body: str, page: Path = ROOT / "README.md") -> None:
    """A page anew between two marks."""
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}{body}{end}{rest.split(end)[1]}")


def grown(head: list[str], rows: Iterable[str]) -> str:
    """A table whose rows are printed as they come, and the machine below it."""
    lines = list(head)
    for row in rows:
        lines.append(row)
        print(row, flush=True)
    machine = environment()
    return "\n".join(lines) + f"\n\n(torch {machine['torch']}, Python {machine['python']}, {machine['cpu']}.)\n"


def main() -> None:
    """Race, then rewrite README, and the picture beside it."""
    if sys.argv[1:] == ["norms"]:
        rewrite("norms", section(run("chars", NORMS, OUT.parent / "norms")))
        return
    body = "\n".join(section(run(workload, words)) for workload, words in RACES.items())
    shutil.copy(OUT / "chars" / "race.png", ROOT / "docs" / "race.png")
    rewrite("table", f"{body}\n![the race on chars](docs/race.png)\n")


if __name__ == "__main__":
    main()
