"""Is the ear's advice any good? AdamW with momentum .9 is heard for 200 steps; then it is followed, and compared.

python -m benchmarks.usefulness [--seeds 5] [--out runs/usefulness] runs it and writes the table of docs/listen.md anew;
runs are kept by what was asked, so that a second call goes on. The protocol stands in docs/listen.md.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor, nn

import fallline
from benchmarks.table import ROOT, rewrite
from fallline.listen import Recommendation
from fallline.race.environment import environment
from fallline.race.registry import WORKLOADS

HEARD, TRIED, BETA2 = 200, 0.9, 0.999
STEPS = {"digits-mlp": 600, "digits-cnn": 600, "chars": 600, "quadratic": 1000, "power-law": 600, "grokking": 1000}
MOMENTA = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
DEFAULT = 1e-3  # torch's lr
FACTORS = (3.0, 10.0)  # of the lr, tried besides 1 in a metric that was advised
# go on: the advice is followed from the next step. anew: it is followed from the first step of another run.
WAYS = ("untouched", "go on", "anew")
HEAD = (
    "workload",
    "lr",
    "untouched",
    "followed from step 200",
    "followed anew",
    "best of the sweep (lr, momentum)",
    "advice (seeds)",
)


@dataclass(frozen=True)
class Run:
    """One run: AdamW with these numbers on this workload, and what is done with the advice after HEARD steps."""

    workload: str
    lr: float
    momentum: float
    seed: int
    way: str = "untouched"
    factor: float = 1.0  # of the lr in a metric that was advised: it is to be tuned anew

    @property
    def key(self) -> str:
        """A name for the file."""
        mark = WORKLOADS[self.workload].fingerprint(None)
        told = {name: value for name, value in asdict(self).items() if name != "factor" or value != 1.0}
        said = json.dumps([told, STEPS[self.workload], HEARD, mark, torch.__version__])
        return sha256(said.encode()).hexdigest()[:16]


def network(task: Any) -> nn.Module:
    """The task's model; its parameters under numbers where it has none."""
    return getattr(task, "model", None) or nn.ParameterList(task.parameters())


class Driver:
    """AdamW with a group for each role, so that advice for a role can be followed; the lr falls as half a cosine."""

    def __init__(self, run: Run, model: nn.Module) -> None:
        self.model, self.steps, self.done, self.factor = model, STEPS[run.workload], 0, run.factor
        decay = WORKLOADS[run.workload].grids["adamw"].weight_decay
        groups: dict[str, list[nn.Parameter]] = {}
        known = fallline.roles(model)
        for name, p in model.named_parameters():
            entry = known.get(p, name)
            groups.setdefault(entry.role.kind if entry else "other", []).append(p)
        given = [{"params": ps, "role": role, "base": run.lr} for role, ps in groups.items()]
        options = {"lr": run.lr, "betas": (run.momentum, BETA2), "weight_decay": decay}
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(given, **options)]

    def step(self, loss: Callable[[], Tensor]) -> float:
        """One step, and the loss before it."""
        share = (1 + math.cos(math.pi * self.done / self.steps)) / 2
        for group in (group for opt in self.optimizers for group in opt.param_groups):
            group["lr"] = group["base"] * share
        for opt in self.optimizers:
            opt.zero_grad()
        value = loss()
        value.backward()
        for opt in self.optimizers:
            opt.step()
        self.done += 1
        return float(value.detach())

    def follow(self, settings: dict[str, dict[str, Any]]) -> None:
        """Settings by scope, as `Advice.settings` gives them: momentum, lr factor, the spectral metric; no others."""
        for scope, said in settings.items():
            groups = [g for opt in self.optimizers for g in opt.param_groups if scope in ("total", g["role"])]
            for group in groups:
                if "momentum" in said:
                    group["betas"] = (said["momentum"], BETA2)
                if "lr factor" in said:
                    group["base"] *= said["lr factor"]
                if said.get("metric") == "spectral":
                    self._spectral(group)

    def _spectral(self, group: dict[str, Any]) -> None:
        """Hand the matrices of a group over to torch's Muon, whose steps are as long as AdamW's."""
        matrices = [p for p in group["params"] if p.ndim == 2]
        group["params"] = [p for p in group["params"] if p.ndim != 2]
        words = {"adjust_lr_fn": "match_rms_adamw", "momentum": group["betas"][0], "weight_decay": 0.0}
        if matrices:
            base = group["base"] * self.factor
            held = [{"params": matrices, "role": group["role"], "base": base}]
            self.optimizers.append(torch.optim.Muon(held, lr=base, **words))


def descend(run: Run, settings: dict[str, dict[str, Any]] | None) -> tuple[float | None, list[Any], Any]:
    """Train to the end: the last validation (None: diverged), the settings that were advised, and the advice."""
    torch.set_num_threads(1)
    task = WORKLOADS[run.workload].task(run.seed, None)
    model = network(task)
    driver, told = Driver(run, model), None
    if settings:
        driver.follow(settings)
    with fallline.listen(model) as ear:
        for _ in range(HEARD):
            driver.step(task.loss)
    if run.way != "untouched" and settings is None:
        with apart(task):
            told = ear.recommend(loss=task.loss)
        if run.way == "go on":
            driver.follow(asked(told))
        else:
            return None, [asked(told)], told
    while driver.done < driver.steps:
        if not math.isfinite(driver.step(task.loss)):
            return None, [], told
    final = task.validate()
    return (final if math.isfinite(final) else None), [], told


@contextmanager
def apart(task: Any) -> Iterator[None]:
    """Batches that are drawn meanwhile are drawn again afterwards, and what a task remembers of them is forgotten."""
    source = getattr(task, "generator", None) or getattr(task, "source", None)
    state, seen = source and source.get_state(), list(getattr(task, "seen", []))
    yield
    if source:
        source.set_state(state)
    if isinstance(getattr(task, "seen", None), list):
        task.seen[:] = seen


def asked(told: Recommendation) -> dict[str, dict[str, Any]]:
    """The settings of all changes, by scope."""
    found: dict[str, dict[str, Any]] = {}
    for one in told.changes:
        for scope in one.scopes:
            found.setdefault(scope, {}).update(one.settings)
    return found


def work(run: Run, out: Path) -> dict[str, Any]:
    """Run it, or read what an earlier call has kept."""
    path = out / f"{run.key}.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    final, settings, told = descend(run, None)
    if run.way == "anew" and settings:
        final, _, _ = descend(run, settings[0])
    record = {"run": asdict(run), "final": final, "advice": None if told is None else told.json()}
    path.write_text(json.dumps(record))
    return record


def sweep(workload: str, seeds: int) -> Iterator[Run]:
    """All learning rates with all momenta."""
    for lr, momentum, seed in product(WORKLOADS[workload].grids["adamw"].lrs, MOMENTA, range(seeds)):
        yield Run(workload, lr, momentum, seed)


def mean(runs: list[dict[str, Any]]) -> float:
    """Of the finals; infinite if one diverged."""
    return fmean(math.inf if r["final"] is None else r["final"] for r in runs)


class Bench:
    """Runs, in two processes."""

    def __init__(self, seeds: int, out: Path) -> None:
        self.seeds, self.out = seeds, out
        out.mkdir(parents=True, exist_ok=True)

    def all(self, runs: list[Run]) -> dict[Run, dict[str, Any]]:
        """Records of runs."""
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            return dict(zip(runs, pool.map(work, runs, [self.out] * len(runs)), strict=True))

    def row(self, workload: str) -> list[str]:
        """Lines of the table: the workload at the best lr of momentum .9, and at torch's default lr."""
        swept = self.all(list(sweep(workload, self.seeds)))
        points = {(run.lr, run.momentum) for run in swept}
        means = {at: mean([r for run, r in swept.items() if (run.lr, run.momentum) == at]) for at in points}
        tuned = min((at for at in points if at[1] == TRIED), key=means.__getitem__)[0]
        best = min(points, key=means.__getitem__)
        return [self.line(workload, lr, means[best], best) for lr in dict.fromkeys((tuned, DEFAULT))]

    def line(self, workload: str, lr: float, best: float, at: tuple[float, float]) -> str:
        """One of them."""
        by = {way: self.followed(workload, lr, way) for way in WAYS}
        cells = [f"{mean(by['untouched']):.4g}", *(gap(by[way], by["untouched"]) for way in WAYS[1:])]
        return (
            f"| {workload} | {lr:g} | {' | '.join(cells)} | {best:.4g} ({at[0]:g}, {at[1]:g}) | {spoken(by['go on'])} |"
        )

    def followed(self, workload: str, lr: float, way: str) -> list[dict[str, Any]]:
        """Runs of all seeds; where another metric was advised, at the best of some learning rates in it."""
        tried = self.again(workload, lr, way, 1.0)
        if way != "untouched" and any(
            "spectral" in json.dumps([a["settings"] for a in r["advice"]["advice"]]) for r in tried
        ):
            return min([tried, *(self.again(workload, lr, way, factor) for factor in FACTORS)], key=mean)
        return tried

    def again(self, workload: str, lr: float, way: str, factor: float) -> list[dict[str, Any]]:
        """With one factor."""
        return list(self.all([Run(workload, lr, TRIED, seed, way, factor) for seed in range(self.seeds)]).values())


def gap(mine: list[dict[str, Any]], other: list[dict[str, Any]]) -> str:
    """The final loss against the untouched run's of the same seed: mean and spread in percent."""
    if any(r["final"] is None for r in mine + other):
        return "diverged"
    found = [100 * (a["final"] / b["final"] - 1) for a, b in zip(mine, other, strict=True)]
    return f"{fmean(found):+.1f} ± {stdev(found):.1f} %" if len(found) > 1 else f"{found[0]:+.1f} %"


def spoken(records: list[dict[str, Any]]) -> str:
    """What was advised, and in how many seeds."""
    counts = Counter(words(one) for record in records for one in record["advice"]["advice"])
    return "; ".join(f"{said} ({n})" for said, n in sorted(counts.items()))


def words(advice: dict[str, Any]) -> str:
    """Who should change what to what."""
    settings = ", ".join(f"{name} {value}" for name, value in advice["settings"].items())
    return f"{', '.join(sorted(advice['scope'].split(', ')))}: {settings}" if settings else advice["change"]


def main() -> None:
    """Run all, then rewrite the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--out", type=Path, default=ROOT / "runs" / "usefulness")
    options.add_argument("--workloads", default=",".join(STEPS))
    asked = options.parse_args()
    bench = Bench(asked.seeds, asked.out)
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for workload in asked.workloads.split(","):
        lines += bench.row(workload)
        print("\n".join(lines[-2:]), flush=True)
    machine = environment()
    where = f"torch {machine['torch']}, Python {machine['python']}, {machine['cpu']}; {asked.seeds} seeds"
    rewrite("usefulness", "\n".join(lines) + f"\n\n({where}.)\n", ROOT / "docs" / "listen.md")


if __name__ == "__main__":
    main()
