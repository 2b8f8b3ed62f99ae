"""Does the best learning rate move with the width? make transfer (resumable): docs/transfer.svg, .json and .md.

An MLP on scikit-learn's digits and a small GPT on the characters of Python's library, at each width with AdamW, with
Muon under S-rms and with a norm for every role (S-spec). For each the best lr of a grid of powers of two is bracketed,
starting where the next narrower one was best, and refined by a parabola through the three lowest losses.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.bowl import draw
from fallline import EMA, Constant, Decoupled, Muon, Rule
from fallline.core.role import Role
from fallline.metrics import FanIn, FanRatio, NewtonSchulz, Sign, Spectral
from fallline.race.char import GPT, characters
from fallline.race.classification import Split, Supervised, load
from fallline.race.digit import digits
from fallline.zoo.routed import Group, Routed

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- transfer: begin -->\n", "<!-- transfer: end -->"
MOMENTUM = 0.9
POLAR = NewtonSchulz()  # five steps, for both, whatever the library thinks best here
EXPANSIONS = 4  # steps of a factor of two that a bracket may walk
LOST = 10.0  # the loss of a run that diverged, so that a parabola keeps its sense


class ByRole(Routed):
    """Every role in its norm: hidden matrices in S-spec, the head as sign / inputs, all else as sign; no Adam."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr, {"momentum": MOMENTUM, "weight_decay": 0.0})

    def speak(self, group: Group, role: Role) -> Rule:
        """An average, and the role's norm."""
        hidden = FanRatio(Spectral(POLAR)) if role.matrix else Sign()
        metric = FanIn(Sign(), -1.0) if role.kind == "head" else hidden
        return Rule(EMA(MOMENTUM), metric, Constant(), Decoupled(0.0), view=role.view)

    def matrix(self, group: Group) -> Rule:
        """The rule of a hidden matrix."""
        return self.speak(group, Role("hidden"))


def cast(model: nn.Module) -> list[Group]:
    """The model's parameters and their roles, said outright, so that the experiment does not hang on a guess."""
    named = list(model.named_parameters())
    last = [name for name, p in named if p.dim() == 2][-1]

    def word(name: str, p: Tensor) -> str:
        if name == last:
            return "head"
        if p.dim() < 2 or "place" in name:
            return "other"
        return "embedding" if "letter" in name else "attention groups=3" if "qkv" in name else "hidden"

    return [{"params": [p for _, p in named], "roles": [word(name, p) for name, p in named]}]


def adamw(model: nn.Module, lr: float) -> Optimizer:
    """torch's."""
    return torch.optim.AdamW(model.parameters(), lr, betas=(MOMENTUM, 0.95), weight_decay=0.0)


def muon(model: nn.Module, lr: float) -> Optimizer:
    """Muon with S-rms, AdamW for embedding, head and vectors."""
    return Muon([group | {"rest_betas": (MOMENTUM, 0.95)} for group in cast(model)], lr, MOMENTUM, 0.0, polar=POLAR)


def by_role(model: nn.Module, lr: float) -> Optimizer:
    """A norm for every role."""
    return ByRole(cast(model), lr)


def mlp(split: Split, width: int) -> nn.Module:
    """Two hidden layers."""
    layers = nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, split.classes)
    return nn.Sequential(nn.Flatten(), *layers)


def gpt(split: Split, width: int) -> nn.Module:
    """One block."""
    return GPT(split.classes, width, 1)


@dataclass(frozen=True)
class Task:
    """A network of any width, its data, and how long it is trained; widths and how many seeds each is given."""

    title: str
    source: Callable[[Path | None], Split]
    model: Callable[[Split, int], nn.Module]
    batch: int
    steps: int
    widths: dict[int, int]
    start: dict[str, float]


OPTIMIZERS: dict[str, tuple[str, Callable[[nn.Module, float], Optimizer], str, str]] = {
    "adamw": ("AdamW", adamw, "#0072B2", "o"),
    "muon": ("Muon, S-rms", muon, "#D55E00", "D"),
    "by-role": ("norms by role, S-spec", by_role, "#009E73", "s"),
}
TASKS = {
    "mlp": Task(
        "MLP on digits",
        digits,
        mlp,
        128,
        40,
        {64: 3, 128: 3, 256: 3, 512: 2, 1024: 1},
        {"adamw": 0.04, "muon": 0.08, "by-role": 0.32},
    ),
    "gpt": Task(
        "GPT on characters",
        characters,
        gpt,
        8,
        60,
        {64: 3, 128: 3, 256: 2},
        {"adamw": 0.005, "muon": 0.02, "by-role": 0.08},
    ),
}


def train(task: Task, name: str, width: int, lr: float, seed: int) -> float:
    """Validation loss at the end of a short run whose lr falls linearly to zero."""
    split = load(task.source, None)
    torch.manual_seed(seed)
    model = task.model(split, width)
    run = Supervised(split, model, task.batch, seed)
    opt = OPTIMIZERS[name][1](model, lr)
    clock = LambdaLR(opt, lambda step: 1 - step / task.steps)
    for _ in range(task.steps):
        opt.zero_grad()
        loss = run.loss()
        if not math.isfinite(float(loss.detach())):
            return LOST
        loss.backward()
        opt.step()
        clock.step()
    end = run.validate()
    return min(end, LOST) if math.isfinite(end) else LOST


class Ledger:
    """Losses of the runs that are done, by task, optimizer, width, seed and lr; kept after each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.losses: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def loss(self, job: str, name: str, width: int, lr: float, seed: int) -> float:
        """The loss, of a run if there was none yet."""
        key = f"{job} {name} {width} {seed} {lr:.6g}"
        if key not in self.losses:
            self.losses[key] = train(TASKS[job], name, width, lr, seed)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.losses, indent=0, sort_keys=True) + "\n")
            print(key, f"{self.losses[key]:.4f}", flush=True)
        return self.losses[key]


def bracket(loss: Callable[[float], float], start: float) -> tuple[float, float]:
    """The lr at the bottom of a parabola through the lowest three of a grid of powers of two, and the best on it."""
    found = {start * 2.0**k: loss(start * 2.0**k) for k in (-1, 0, 1)}
    for _ in range(EXPANSIONS):
        best = min(found, key=found.__getitem__)
        if min(found) < best < max(found):
            break
        there = best * (2.0 if best == max(found) else 0.5)
        found[there] = loss(there)
    best = min(found, key=found.__getitem__)
    return bottom([(lr, found[lr]) for lr in (best / 2, best, best * 2) if lr in found]), best


def bottom(points: list[tuple[float, float]]) -> float:
    """Where a parabola in log lr is lowest; the middle point if there is none."""
    if len(points) < 3:
        return min(points, key=lambda point: point[1])[0]
    (_, a), (middle, b), (_, c) = points
    bend = a - 2 * b + c
    return middle * 2.0 ** ((a - c) / (2 * bend) if bend > 0 else 0.0)


def measure(ledger: Ledger, job: str, name: str) -> dict[int, list[float]]:
    """The best lr at each width, one for each seed."""
    task, found = TASKS[job], {}
    start = [task.start[name]] * max(task.widths.values())
    for width, seeds in task.widths.items():
        pairs = [
            bracket(lambda lr, s=seed, w=width: ledger.loss(job, name, w, lr, s), start[seed]) for seed in range(seeds)
        ]
        found[width] = [lr for lr, _ in pairs]
        start = [lr for _, lr in pairs]
    return found


def drift(found: dict[int, list[float]]) -> float:
    """The largest over the smallest of the widths' geometric means."""
    means = [statistics.geometric_mean(lrs) for lrs in found.values()]
    return max(means) / min(means)


def losses(ledger: Ledger, job: str, name: str) -> dict[int, dict[float, list[float]]]:
    """All losses of an optimizer by width and lr."""
    found: dict[int, dict[float, list[float]]] = {width: {} for width in TASKS[job].widths}
    for key, loss in ledger.losses.items():
        this, who, width, _, lr = key.split()
        if (this, who) == (job, name) and int(width) in found:
            found[int(width)].setdefault(float(lr), []).append(loss)
    return found


def line(label: str, best: dict[int, list[float]]) -> str:
    """An optimizer's best lr at each width, mean and range of the seeds, and how far it moves."""
    cells = [
        f"{statistics.geometric_mean(lrs):.3g} ({min(lrs):.2g} to {max(lrs):.2g})" if len(lrs) > 1 else f"{lrs[0]:.3g}"
        for lrs in best.values()
    ]
    return f"| {label} | {' | '.join(cells)} | **{drift(best):.1f}** |"


def section(job: str, bests: dict[str, dict[int, list[float]]]) -> str:
    """A task's table."""
    task = TASKS[job]
    columns = [f"{width} ({seeds})" for width, seeds in task.widths.items()]
    head = f"**{task.title}**: {task.steps} steps of {task.batch}, lr falling linearly to 0. Width (seeds):\n\n"
    rows = [line(OPTIMIZERS[name][0], best) for name, best in bests.items()]
    titles = f"| | {' | '.join(columns)} | largest / smallest |\n|{'---|' * (len(columns) + 2)}\n"
    return head + titles + "\n".join(rows) + "\n"


def main() -> None:
    """Run what is missing, then write the table between the page's marks, and the picture."""
    torch.set_num_threads(1)
    ledger = Ledger(ROOT / "docs" / "transfer.json")
    bests = {job: {name: measure(ledger, job, name) for name in OPTIMIZERS} for job in TASKS}
    found = {
        TASKS[job].title: {name: (losses(ledger, job, name), best) for name, best in of.items()}
        for job, of in bests.items()
    }
    looks = {name: (label, color, marker) for name, (label, _, color, marker) in OPTIMIZERS.items()}
    draw(found, looks, ROOT / "docs" / "transfer.svg")
    page = ROOT / "docs" / "transfer.md"
    before, rest = page.read_text().split(BEGIN)
    body = "\n".join(section(job, of) for job, of in bests.items())
    page.write_text(f"{before}{BEGIN}{body}{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
