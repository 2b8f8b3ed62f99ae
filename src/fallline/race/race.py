"""A race from plan to results file."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from fallline.race.certificate import CERTIFICATES
from fallline.race.environment import environment
from fallline.race.plan import WIDER, Plan
from fallline.race.registry import WORKLOADS
from fallline.race.runner import Runner
from fallline.race.schema import VERSION, validate
from fallline.race.store import Record, Store, write_json
from fallline.race.summary import rows
from fallline.race.verdict import verdicts


@dataclass(frozen=True)
class Race:
    """A filled plan, where its data lies, where results go, and how many processes work on it."""

    plan: Plan
    out: Path
    data: Path | None = None
    workers: int = 1

    @property
    def folder(self) -> Path:
        """Where this race's files lie."""
        return self.out / self.plan.workload

    @property
    def size(self) -> int:
        """How many runs it has, those beyond the edge of a grid not counted."""
        first = self.plan.settings(self.data)
        return len(first) + len(self.plan.followers(first))

    def prepare(self) -> None:
        """Read the data and make the folder: what can go wrong for reasons of the user's does so here."""
        self.plan.settings(self.data)
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)

    def runs(self, tick: Callable[[Record, bool], None]) -> list[Record]:
        """All records: the first wave, learning rates beyond an edge, then the controls that replay the first."""
        runner = Runner(Store(self.folder / "runs"), self.data, self.workers)
        first = self.plan.settings(self.data)
        done = runner.run(first, tick)
        for _ in range(WIDER):
            done += runner.run(self.plan.wider(self.data, done), tick)
        return done + runner.run(self.plan.followers(first), tick)

    def result(self, tick: Callable[[Record, bool], None], certify: bool) -> Record:
        """Run what is missing, then write and return the results; `certify` measures what is known of it, too."""
        records = self.runs(tick)
        table = rows(records)
        workload = WORKLOADS[self.plan.workload]
        result: Record = {
            "version": VERSION,
            "workload": workload.name,
            "title": workload.title,
            "metric": workload.metric,
            "plan": asdict(self.plan),
            "environment": environment(),
            "rows": table,
            "verdicts": verdicts(table),
            "runs": [{name: value for name, value in record.items() if name != "path"} for record in records],
            "check": checked(workload.name) if certify else None,
        }
        result = listed(result)
        validate(result)
        write_json(self.folder / "results.json", result)
        return result


def checked(name: str) -> Record | None:
    """The tables that are known of a workload, as plain data."""
    if name not in CERTIFICATES:
        return None
    sheets, faults = CERTIFICATES[name]()
    return {"tables": [asdict(sheet) for sheet in sheets], "faults": faults}


def listed(value: Record) -> Record:
    """The same data with lists for tuples, as it will be after a trip through JSON."""
    read: Record = json.loads(json.dumps(value))
    return read
