"""Runs the race of README's table and writes the table anew: make table (resumable, 20 minutes on two cores)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OUT = ROOT / "runs" / "table"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->"
RACES = {
    "chars": "--steps 400 --lr 0.001,0.002,0.004,0.008,0.016 --momentum 0,0.5,0.8,0.9,0.99 --schedule cosine",
    "digits-mlp": "--lr 0.001,0.003,0.01,0.03 --momentum 0,0.5,0.8,0.9,0.99 --schedule cosine",
    "quadratic": "--optimizer sgd --momentum 0,0.5,0.9,0.99 --schedule constant",
}


def run(workload: str) -> dict[str, Any]:
    """Race on a workload, or pick up where an earlier call stopped; the results."""
    options = (*RACES[workload].split(), "--seeds", "3", "--out", str(OUT))
    subprocess.run((sys.executable, "-m", "fallline.cli", "race", workload, *options), check=True, cwd=ROOT)
    results: dict[str, Any] = json.loads((OUT / workload / "results.json").read_text())
    return results


def line(row: dict[str, Any]) -> str:
    """One contender: best lr, loss with its spread, and how far from the best fixed momentum."""
    if row["validation"] is None:
        return f"| {row['label']} | – | diverged | – |"
    gap = row["to_best_fixed"]
    apart = f"{100 * gap['difference']:+.1f} ± {100 * gap['spread']:.1f} %" if gap["spread"] is not None else "–"
    apart = "best fixed" if gap["other"] == row["label"] else apart
    return f"| {row['label']} | {row['lr']:g} | {row['validation']:.4f} ± {row['spread']:.4f} | {apart} |"


def section(results: dict[str, Any]) -> str:
    """A workload's table, and what it says in words."""
    plan, machine = results["plan"], results["environment"]
    head = f"**{results['title'][0].upper()}{results['title'][1:]}**: {plan['optimizer']}, {plan['steps']} steps, "
    told = f"{plan['schedules'][0]} lr, best of {len(plan['lrs'])} learning rates, {plan['seeds']} seeds.\n\n"
    columns = f"| contender | best lr | {results['metric']} | against the best fixed momentum |\n|---|---|---|---|\n"
    words = " ".join(results["verdicts"])
    where = f"torch {machine['torch']}, Python {machine['python']}, {machine['cpu']}, {machine['cores']} cores"
    return f"{head}{told}{columns}" + "\n".join(map(line, results["rows"])) + f"\n\n{words}\n({where}.)\n"


def main() -> None:
    """Race, then rewrite README between its two marks, and the picture beside it."""
    body = "\n".join(section(run(workload)) for workload in RACES)
    page = ROOT / "README.md"
    before, rest = page.read_text().split(BEGIN)
    shutil.copy(OUT / "chars" / "race.png", ROOT / "docs" / "race.png")
    page.write_text(f"{before}{BEGIN}{body}\n![the race on chars](docs/race.png)\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
