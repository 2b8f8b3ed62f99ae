"""One JSON file per finished run, so that an interrupted race goes on where it stopped."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def write_json(path: Path, content: Record) -> None:
    """Write a file whole or not at all: into a neighbour first, then renamed over the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        # JSON has no word for infinity: diverged numbers are null beside "diverged": true.
        json.dump(content, file, allow_nan=False)
    os.replace(name, path)


@dataclass(frozen=True)
class Store:
    """The folder of a race's finished runs."""

    folder: Path

    def path(self, key: str) -> Path:
        """Where the run with this key lies."""
        return self.folder / f"{key}.json"

    def load(self, key: str) -> Record | None:
        """A finished run; None when it is missing or its file is cut short."""
        try:
            record: Record = json.loads(self.path(key).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return record if isinstance(record, dict) and record.get("key") == key else None

    def save(self, record: Record) -> None:
        """Keep a finished run under its key."""
        write_json(self.path(record["key"]), record)
