"""Outcome: what an ear has to say in the end, written down."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from .advice import Recommendation
from .column import BLOCK
from .ear import Ear
from .estimate import Heard
from .ground import ground
from .recommend import advised
from .report import document, write

FEW = 2 * BLOCK  # heard steps below which there is no spread to make error bars of


@final
@dataclass(frozen=True)
class Outcome:
    """What was heard and advised, and the files that say so; none where this process is not the first of several."""

    heard: Heard
    recommendation: Recommendation
    written: tuple[Path, ...]


@ground()
def told(ear: Ear, out: str | Path, name: str = "listen") -> Outcome | None:
    """Ask an ear, and write NAME.json and NAME.html into the folder `out`; None where it has heard too little.

    Under torch.distributed all processes must ask; the first one writes.
    """
    if ear.time < FEW:
        return None
    heard = ear.estimates()
    recommendation = advised(heard)
    written = _write(heard, recommendation, Path(out), name) if rank() == 0 else ()
    return Outcome(heard, recommendation, written)


@ground()
def page(ear: Ear, path: Path) -> Path:
    """The page alone, at this path."""
    heard = ear.estimates()
    return write(heard, advised(heard), path) if rank() == 0 else path


def _write(heard: Heard, recommendation: Recommendation, out: Path, name: str) -> tuple[Path, ...]:
    out.mkdir(parents=True, exist_ok=True)
    data, sheet = out / f"{name}.json", out / f"{name}.html"
    data.write_text(json.dumps(document(heard, recommendation), allow_nan=False), encoding="utf-8")
    try:
        return data, write(heard, recommendation, sheet)
    except ModuleNotFoundError as error:  # without matplotlib there is no page, but numbers are kept
        warnings.warn(str(error), stacklevel=2)
        return (data,)


def rank() -> int:
    """Of this process, also after the group of processes is gone."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return int(torch.distributed.get_rank())
    return int(os.environ.get("RANK", "0"))
