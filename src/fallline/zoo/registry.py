"""The registry: every named optimizer with its paper, its sentence and a recipe that builds it."""

from __future__ import annotations

from .entry import Entry as Entry
from .matrices import MATRICES
from .vectors import VECTORS

ENTRIES = VECTORS + MATRICES
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}
