"""docs/speed.json: what was measured, each record under its run. A later run replaces what it measures anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]
KEYS = {
    "steps": ("list", "threads", "row"),
    "starts": ("list", "row"),
    "imports": ("package",),
    "inner": ("data",),
    "sampling": ("workload", "optimizer", "lr", "to"),
}


class Ledger:
    """The results file. `run` describes the measurement that is going on."""

    def __init__(self, path: Path, run: Record) -> None:
        self.path = path
        old: Record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.runs: list[Record] = old.get("runs", [])
        self.tables: dict[str, list[Record]] = {name: old.get(name, []) for name in KEYS}
        self.run = run | {"run": 1 + max((one["run"] for one in self.runs), default=0)}

    def add(self, name: str, records: list[Record]) -> None:
        """Enter records, and write the file."""
        fresh = {self.key(name, one): rounded(one) | {"run": self.run["run"]} for one in records}
        kept = [one for one in self.tables[name] if self.key(name, one) not in fresh]
        self.tables[name] = [*kept, *fresh.values()]
        used = {one["run"] for table in self.tables.values() for one in table}
        self.runs = [one for one in (*self.runs, self.run) if one["run"] in used]
        self.runs = list({one["run"]: one for one in self.runs}.values())
        self.path.write_text(json.dumps({"runs": self.runs, **self.tables}, indent=1) + "\n", encoding="utf-8")

    def key(self, name: str, record: Record) -> tuple[Any, ...]:
        """What a record is about."""
        return tuple(record[word] for word in KEYS[name])

    def find(self, name: str, **about: Any) -> Record | None:
        """The record about something, None where it was not measured."""
        found = (one for one in self.tables[name] if all(one[word] == value for word, value in about.items()))
        return next(found, None)


def rounded(x: Any) -> Any:
    """Five digits of every measured number: more are noise."""
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    return float(f"{x:.5g}") if isinstance(x, float) else x
