"""One run of the suite: everything that decides it, and what is kept of it."""

import json
import math
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from fallline.race.environment import commit
from fallline.race.store import Record, Store
from fallline.race.suite.entrant import MAKERS, Ours, Point
from fallline.race.suite.problem import PROBLEMS
from fallline.race.suite.training import Training

VALIDATIONS = 20  # a run, besides the one before it


@dataclass(frozen=True)
class Trial:
    """A problem, an optimizer with its numbers, a seed. Whoever asks for the same trial shares its run."""

    problem: str
    fingerprint: str
    maker: str
    lr: float | None
    beta: float | None
    schedule: str
    numbers: tuple[tuple[str, Any], ...]
    seed: int
    steps: int
    origin: str

    @property
    def key(self) -> str:
        """A name for the run's file that changes with anything that may change the result."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def point(self) -> Point:
        """The configuration."""
        return Point(self.lr, self.beta, self.schedule)

    @property
    def words(self) -> dict[str, Any]:
        """What the optimizer is built with."""
        swept = {"lr": self.lr, "betas": None if self.beta is None else (self.beta, 0.999)}
        return dict(self.numbers) | {name: value for name, value in swept.items() if value is not None}


@dataclass
class Watch:
    """Validations of a run as (step, value, seconds of training), and the processor time that training took."""

    task: Training
    optimizers: list[Optimizer]
    points: list[tuple[int, float, float]] = field(default_factory=list)
    seconds: float = 0.0

    def look(self, step: int) -> None:
        """Validate with the weights that the optimizers mean to be judged by."""
        switch(self.optimizers, "eval")
        self.points.append((step, self.task.validate(), self.seconds))
        switch(self.optimizers, "train")


def switch(optimizers: list[Optimizer], mode: str) -> None:
    """Call eval() or train() of those that have it."""
    for optimizer in optimizers:
        getattr(optimizer, mode, lambda: None)()


def fade(schedule: str, step: int, steps: int) -> float:
    """The factor of the lr at a step: 1, or half a cosine to zero."""
    return 1.0 if schedule == "constant" else (1 + math.cos(math.pi * step / steps)) / 2


def descend(t: Trial, watch: Watch, tell: bool) -> None:
    """Train to the end, or until the loss is not finite; `tell`: the step is told the loss."""
    ends = {round(t.steps * (k + 1) / VALIDATIONS) for k in range(VALIDATIONS)}
    groups = [(group, float(group["lr"])) for o in watch.optimizers for group in o.param_groups]
    watch.look(0)
    for step in range(t.steps):
        start = time.process_time()
        for group, lr in groups if t.schedule != "constant" else ():
            group["lr"] = lr * fade(t.schedule, step, t.steps)
        if not march(watch, tell):
            return
        watch.seconds += time.process_time() - start
        if step + 1 in ends:
            watch.look(step + 1)


def march(watch: Watch, tell: bool) -> bool:
    """One step; False where it cannot go on."""
    for optimizer in watch.optimizers:
        optimizer.zero_grad()
    loss = watch.task.loss()
    if not math.isfinite(loss.item()):
        return False
    loss.backward()
    told: Any = loss.detach if tell else None
    try:
        for optimizer in watch.optimizers:
            optimizer.step(told)
    except FloatingPointError:  # Fallline's refuse to go on with gradients that are not finite
        return False
    return True


def run(t: Trial, data: Path | None = None) -> Record:
    """Train and tell; values that are not finite are null."""
    task, make = PROBLEMS[t.problem].make(t.seed, data), MAKERS[t.maker]
    watch = Watch(task, make(task.model, t.words))
    descend(t, watch, isinstance(make, Ours) and make.loss)
    final = watch.points[-1][1] if watch.points[-1][0] == t.steps else math.inf
    return {
        "key": t.key,
        "trial": asdict(t),
        "final": final if final <= watch.points[0][1] else None,  # worse than at the start is a failure
        "points": [[step, value if math.isfinite(value) else None, round(s, 4)] for step, value, s in watch.points],
        "lr": shown(watch.optimizers[0]),
        "seconds": round(watch.seconds, 3),
        "commit": checkout(),
    }


def shown(optimizer: Optimizer) -> float | None:
    """The effective lr of the last step, where dashboards read it."""
    group = optimizer.param_groups[0]
    lr = float(group.get("effective_lr", group["lr"]))
    return lr if math.isfinite(lr) else None


@cache
def checkout() -> str | None:
    """The commit, asked for once."""
    return commit()


def work(t: Trial, store: Store, data: Path | None) -> Record:
    """Run a trial and keep its record, unless another process has done so meanwhile."""
    if done := store.load(t.key):
        return done
    record = run(t, data)
    store.save(record)
    return record
