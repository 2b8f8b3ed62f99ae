"""Everything that decides the outcome of one run, and the key that follows from it."""

import json
import platform
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import torch

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Setting:
    """One run. `momentum` is for fixed runs, `bank` and `source` for self-choosing runs and their controls.

    `optimizer` is the family, or of a named contender its name in the registry.
    """

    workload: str
    fingerprint: str
    optimizer: str
    contender: str
    lr: float
    schedule: str
    seed: int
    steps: int
    weight_decay: float
    momentum: float | None = None
    bank: tuple[float, ...] | None = None
    source: str | None = None
    code: str = ""

    @property
    def key(self) -> str:
        """A name for the run's file that changes with anything that may change the result."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """The contender in words, as tables and pictures show it."""
        names = {"fixed": f"momentum {self.momentum or 0.0:g}", "named": self.optimizer}
        return names.get(self.contender, self.contender)


@cache
def code(contender: str) -> str:
    """What a contender runs on: torch's version, and for Fallline's own a digest of the engine's source text."""
    versions = f"torch {torch.__version__} python {platform.python_version()}"
    if contender in ("fixed", "lr-only"):
        return versions
    hasher = sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in ("race", "cli"):
            hasher.update(path.read_bytes())
    return f"{versions} fallline {hasher.hexdigest()[:12]}"
