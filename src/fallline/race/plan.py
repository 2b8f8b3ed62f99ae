"""The list of runs that a race consists of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from pathlib import Path

from fallline.race.contender import CONTROLS, FIRST
from fallline.race.registry import WORKLOADS
from fallline.race.setting import Setting, code

MOMENTA = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
QUICK_MOMENTA = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Plan:
    """What a person asks for; empty tuples, zeros and None mean the workload's own defaults."""

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

    def filled(self) -> "Plan":
        """The same plan with the workload's defaults written in."""
        workload = WORKLOADS[self.workload]
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

    def check(self) -> None:
        """Refuse what cannot be raced, before any time is spent."""
        if any(not 0 <= beta < 1 for beta in self.momenta + (self.bank or ())):
            raise ValueError(f"Momenta lie in [0, 1); given: {self.momenta + (self.bank or ())}.")
        if self.bank is not None and not len(self.bank) == len(set(self.bank)) > 1:
            raise ValueError(f"--bank takes two or more different momenta; given: {self.bank}.")
        if any(not 0 < lr < inf for lr in self.lrs):
            raise ValueError(f"--lr takes positive numbers; given: {self.lrs}.")
        if unknown := set(self.schedules) - {"constant", "cosine"}:
            raise ValueError(f"--schedule is constant, cosine or both; given: {', '.join(unknown)}.")
        if self.controls and self.seeds < 2:
            raise ValueError("--controls replays what another seed recorded, so it needs --seeds 2 or more.")

    def settings(self, data: Path | None) -> list[Setting]:
        """The first wave: fixed momenta and self-choosing runs, and the controls that need no recorded path."""
        workload, family = WORKLOADS[self.workload], self.optimizer or ""
        mark, decay = workload.fingerprint(data), workload.grids[family].weight_decay
        return [
            Setting(self.workload, mark, family, name, lr, shape, seed, self.steps, decay, beta, bank, None, code(name))
            for lr, shape, seed in product(self.lrs, self.schedules, range(self.seeds))
            for name, beta, bank in self.starters()
        ]

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
