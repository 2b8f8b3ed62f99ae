"""Everyone who is timed, in the order of the table; and who is timed beside whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from benchmarks.ours import banked, single
from benchmarks.peer import peer_rows, torch_rows
from benchmarks.row import Row

BASELINE = {"adamw": "adamw-torch-fused", "sgd": "sgd-torch-fused", "lion": "adamw-torch-fused"}  # torch has no Lion
PEERS = peer_rows()
ALL = (
    *torch_rows("adamw"),
    *single("adamw"),
    *banked("adamw"),
    *(row for row in PEERS if row.family == "adamw"),
    *torch_rows("sgd"),
    *single("sgd"),
    *banked("sgd"),
    *single("lion"),
    *(row for row in PEERS if row.family == "lion"),
)
ROWS: dict[str, Row] = {row.name: row for row in ALL}
MEMORY = 10e9  # bytes of state that may be alive at once


def groups(rows: Iterable[Row], numel: int) -> Iterator[tuple[Row, list[Row]]]:
    """Baseline and contenders of every family; where their state would not fit, smaller groups."""
    for family, first in BASELINE.items():
        members = [row for row in rows if row.family == family and row.name != first]
        listed = sorted(members, key=lambda row: row.group)
        parts = [listed] if fit(listed, numel) else [list(part) for _, part in groupby(listed, lambda row: row.group)]
        yield from ((ROWS[first], some) for part in parts for some in split(part, numel))


def fit(rows: list[Row], numel: int) -> bool:
    """Whether the state of these may be alive at once, beside that of a baseline."""
    return 4 * numel * (2 + sum(row.buffers for row in rows)) <= MEMORY


def split(rows: list[Row], numel: int) -> Iterator[list[Row]]:
    """In order, as many at a time as fit."""
    part: list[Row] = []
    for row in rows:
        if part and not fit([*part, row], numel):
            yield part
            part = []
        part.append(row)
    if part:
        yield part
