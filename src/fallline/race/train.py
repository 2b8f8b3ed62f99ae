"""One run: a task, an optimizer, a schedule, and what is worth remembering of them."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from fallline.race.contender import build, effective_lr_of, momentum_of
from fallline.race.registry import WORKLOADS
from fallline.race.setting import Setting
from fallline.race.store import Record
from fallline.race.workload import Task

POINTS = 50  # of a curve
VALIDATIONS = 4  # per run


def schedule(optimizer: Optimizer, s: Setting, lr_path: Sequence[float]) -> LRScheduler:
    """What moves the lr: nothing, half a cosine to zero, or a recorded path."""
    if s.contender == "lr-only":
        return LambdaLR(optimizer, lambda step: lr_path[min(step, len(lr_path) - 1)] / s.lr)
    if s.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=s.steps)
    return LambdaLR(optimizer, lambda step: 1.0)


@dataclass
class Trace:
    """The history of a run, one entry per step."""

    loss: list[float] = field(default_factory=list)
    momentum: list[float] = field(default_factory=list)
    effective_lr: list[float] = field(default_factory=list)
    validation: list[tuple[int, float | None]] = field(default_factory=list)

    def note(self, loss: float, optimizer: Optimizer) -> None:
        """Remember a step."""
        self.loss.append(loss)
        self.momentum.append(momentum_of(optimizer))
        self.effective_lr.append(effective_lr_of(optimizer))

    def curve(self) -> Record:
        """At most POINTS points, each the mean over a stretch of steps; `step` is the stretch's end."""
        total = len(self.loss)
        ends = sorted({round(total * (k + 1) / POINTS) for k in range(POINTS)} - {0})
        stretches = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        return {
            "step": ends,
            "loss": [fmean(self.loss[at]) for at in stretches],
            "momentum": [middle(self.momentum[at]) for at in stretches],
            "effective_lr": [fmean(self.effective_lr[at]) for at in stretches],
        }


def middle(momenta: list[float]) -> float:
    """The momentum whose memory 1 / (1 - beta) is the geometric mean of the given ones'."""
    return 1 - math.exp(fmean(math.log1p(-beta) for beta in momenta))


def finite(value: float) -> float | None:
    """The number itself, or None for what JSON cannot say."""
    return value if math.isfinite(value) else None


def descend(task: Task, optimizer: Optimizer, clock: LRScheduler, steps: int, trace: Trace) -> int | None:
    """Train; the step at which the loss stopped being finite, or None."""
    every = max(1, steps // VALIDATIONS)
    for step in range(steps):
        loss = task.loss()
        value = loss.item()
        if not math.isfinite(value):
            return step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trace.note(value, optimizer)
        clock.step()
        if (step + 1) % every == 0 and step + 1 < steps:
            trace.validation.append((step + 1, finite(task.validate())))
    return None


def survive(task: Task, optimizer: Optimizer, clock: LRScheduler, steps: int, trace: Trace) -> int | None:
    """`descend`, where an optimizer that refuses to go on with non-finite gradients counts as diverged."""
    try:
        return descend(task, optimizer, clock, steps, trace)
    except FloatingPointError:
        return len(trace.loss)


def candidates(optimizer: Optimizer) -> list[float]:
    """The momenta a self-choosing optimizer chooses from; none for a fixed one."""
    return [float(beta) for beta in optimizer.param_groups[0].get("candidates") or ()]


def path(trace: Trace, bank: list[float]) -> Record | None:
    """What the controls replay: the choice and the effective lr at each step."""
    if not bank:
        return None
    nearest = {beta: min(range(len(bank)), key=lambda k: abs(bank[k] - beta)) for beta in set(trace.momentum)}
    return {"choice": [nearest[beta] for beta in trace.momentum], "effective_lr": trace.effective_lr}


def train(s: Setting, data: Path | None = None, source: Record | None = None) -> Record:
    """Run a setting; `source` is the finished run whose path a control replays."""
    trail: dict[str, Any] = (source or {}).get("path") or {"choice": [], "effective_lr": []}
    task = WORKLOADS[s.workload].task(s.seed, data)
    optimizer = build(task.parameters(), s, trail["choice"], getattr(task, "model", None))
    trace, start = Trace(), time.perf_counter()
    broke = survive(task, optimizer, schedule(optimizer, s, trail["effective_lr"]), s.steps, trace)
    seconds = time.perf_counter() - start
    score = finite(task.validate()) if broke is None else None
    trace.validation.append((len(trace.loss), score))
    return {
        "key": s.key,
        "setting": asdict(s),
        "label": s.label,
        "validation": score,
        "diverged": score is None,
        "diverged_at": broke,
        "seconds": round(seconds, 3),
        "candidates": candidates(optimizer),
        "curve": trace.curve(),
        "validations": [list(point) for point in trace.validation],
        "path": path(trace, candidates(optimizer)),
    }
