"""The list of runs that a race consists of."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from inspect import signature
from itertools import product
from pathlib import Path

from fallline.race.contender import CONTROLS, FIRST, NAMED
from fallline.race.registry import WORKLOADS
from fallline.race.setting import Setting, code
from fallline.race.store import Record
from fallline.race.summary import best, cells
from fallline.race.workload import Workload

MOMENTA = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
QUICK_MOMENTA = (0.5, 0.9, 0.99)
SPAN = (0.25, 0.5, 1.0, 2.0, 4.0)  # times a recipe's lr: the grid of a named optimizer
QUICK_SPAN = (0.5, 1.0, 2.0)
WIDER = 3  # how often it may grow by a factor of two, while the best is at its edge


@dataclass(frozen=True)
class Plan:
    """What a person asks for; empty tuples, zeros and None mean the workload's own defaults.

    names: optimizers of the registry, raced against each other instead of a family's momenta; the first is the
    yardstick. Each has the grid of its own recipe's lr, wider where its best is at an edge, unless `lrs` are given.
    """

    workload: str
    optimizer: str | None = None
    lrs: tuple[float, ...] = ()
    momenta: tuple[float, ...] = ()
    bank: tuple[float, ...] | None = None
    schedules: tuple[str, ...] = ("constant", "cosine")
    seeds: int = 0
    steps: int = 0
    quick: bool = False
    controls: bool = False
    names: tuple[str, ...] = ()

    def filled(self) -> "Plan":
        """The same plan with the workload's defaults written in."""
        workload = WORKLOADS[self.workload]
        if self.names:
            return self._named(workload)
        family = self.optimizer or next(iter(workload.grids))
        if family not in workload.grids:
            raise ValueError(f"--optimizer is {family!r}; {self.workload} knows {', '.join(workload.grids)}.")
        grid = workload.grids[family]
        plan = replace(
            self,
            optimizer=family,
            lrs=tuple(sorted(set(self.lrs or (grid.quick_lrs if self.quick else grid.lrs)))),
            momenta=tuple(sorted(set(self.momenta or (QUICK_MOMENTA if self.quick else MOMENTA)))),
            seeds=self.seeds or (3 if self.quick else 5),
            steps=self.steps or (workload.quick_steps if self.quick else workload.steps),
        )
        plan.check()
        return plan

    def _named(self, workload: Workload) -> "Plan":
        from fallline.zoo.registry import REGISTRY

        if unknown := [name for name in self.names if name not in REGISTRY]:
            raise ValueError(f"--optimizer is {', '.join(unknown)}; known are {', '.join(sorted(REGISTRY))}.")
        if fixed := [name for name in self.names if "lr" not in signature(REGISTRY[name].build).parameters]:
            raise ValueError(f"--optimizer is {', '.join(fixed)}, which the registry builds with an lr of its own.")
        if self.momenta or self.bank or self.controls:
            raise ValueError("--momentum, --bank and --controls belong to a race of adamw or sgd alone, not of names.")
        plan = replace(
            self,
            optimizer=", ".join(self.names),
            names=tuple(dict.fromkeys(self.names)),
            lrs=tuple(sorted(set(self.lrs))),
            seeds=self.seeds or 3,
            steps=self.steps or (workload.quick_steps if self.quick else workload.steps),
        )
        plan.check()
        return plan

    def grid(self, name: str) -> tuple[float, ...]:
        """The learning rates at which a named optimizer starts."""
        from fallline.zoo.registry import REGISTRY

        recipe = signature(REGISTRY[name].build).parameters["lr"].default
        return self.lrs or tuple(recipe * x for x in (QUICK_SPAN if self.quick else SPAN))

    def check(self) -> None:
        """Refuse what cannot be raced, before any time is spent."""
        if any(not 0 <= beta < 1 for beta in self.momenta + (self.bank or ())):
            raise ValueError(f"Momenta lie in [0, 1); given: {self.momenta + (self.bank or ())}.")
        if self.bank is not None and not len(self.bank) == len(set(self.bank)) > 1:
            raise ValueError(f"--bank takes two or more different momenta; given: {self.bank}.")
        if any(not 0 < lr < math.inf for lr in self.lrs):
            raise ValueError(f"--lr takes positive numbers; given: {self.lrs}.")
        if unknown := set(self.schedules) - {"constant", "cosine"}:
            raise ValueError(f"--schedule is constant, cosine or both; given: {', '.join(unknown)}.")
        if self.controls and self.seeds < 2:
            raise ValueError("--controls replays what another seed recorded, so it needs --seeds 2 or more.")

    def settings(self, data: Path | None) -> list[Setting]:
        """The first wave: fixed momenta and self-choosing runs, and the controls that need no recorded path."""
        if self.names:
            return self.at(
                data, ((name, lr, shape) for name in self.names for lr in self.grid(name) for shape in self.schedules)
            )
        workload, family = WORKLOADS[self.workload], self.optimizer or ""
        mark, decay = workload.fingerprint(data), workload.grids[family].weight_decay
        return [
            Setting(self.workload, mark, family, name, lr, shape, seed, self.steps, decay, beta, bank, None, code(name))
            for lr, shape, seed in product(self.lrs, self.schedules, range(self.seeds))
            for name, beta, bank in self.starters()
        ]

    def at(self, data: Path | None, where: Iterable[tuple[str, float, str]]) -> list[Setting]:
        """Named optimizers at learning rates and schedules, with every seed."""
        workload, kind = WORKLOADS[self.workload], NAMED
        mark, decay = workload.fingerprint(data), next(iter(workload.grids.values())).weight_decay
        return [
            Setting(self.workload, mark, name, kind, lr, shape, seed, self.steps, decay, None, None, None, code(kind))
            for name, lr, shape in where
            for seed in range(self.seeds)
        ]

    def wider(self, data: Path | None, records: list[Record]) -> list[Setting]:
        """The next learning rate for every named optimizer whose best so far is the last of its grid."""
        if not self.names or self.lrs:
            return []
        found, where = cells(records), []
        for name, shape in product(self.names, self.schedules):
            mine = [c for c in found if (c.label, c.schedule) == (name, shape)]
            lrs, top = sorted(c.lr for c in mine), best(mine)
            if top and math.isfinite(top.mean) and top.lr in (lrs[0], lrs[-1]):
                where.append((name, top.lr * (2.0 if top.lr == lrs[-1] else 0.5), shape))
        return self.at(data, where)

    def starters(self) -> Iterator[tuple[str, float | None, tuple[float, ...] | None]]:
        """(contender, momentum, bank) of the first wave."""
        yield from (("fixed", beta, None) for beta in self.momenta)
        yield from ((name, None, self.bank) for name in FIRST[1:])
        same = "unit-gain" if self.optimizer == "adamw" else None  # AdamW's auto has unit gain as it is
        yield from ((name, None, self.bank) for name in CONTROLS[:2] if self.controls and name != same)

    def followers(self, first: list[Setting]) -> list[Setting]:
        """The second wave: each unit-power run's path, followed by the next seed."""
        leaders = [s for s in first if s.contender == "unit-power"]
        return [
            replace(
                s,
                contender=name,
                seed=(s.seed + 1) % self.seeds,
                source=s.key,
                bank=s.bank if name == "replay" else None,
                code=code(name),
            )
            for s in leaders
            for name in CONTROLS[2:]
        ]
