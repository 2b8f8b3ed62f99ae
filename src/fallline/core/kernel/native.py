"""Programs as C functions over a table of addresses; ctypes lets several threads walk at once."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from ..chunk import Fit
from .c import text
from .compiler import library
from .printed import Fields, Run
from .symbol import Program
from .table import Items, width


@cache
def load(program: Program) -> Callable[..., Any] | None:
    """The program as a function of addresses; None where it cannot be had."""
    page = library(text(program))
    if page is None:
        return None
    run: Callable[..., Any] = page.run
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    run.argtypes, run.restype = [pointer, pointer, number, number, pointer, number, pointer], None  # type: ignore[attr-defined]
    return run


class Native:
    """Programs as C, on the host's own memory."""

    def bind(self, program: Program, fields: Fields, items: Items) -> Run | None:
        """The program over these tensors; None without a compiler, or on another device."""
        run = load(program) if fields.device.type == "cpu" else None
        return Walk(run, program, fields, items) if run else None


class Walk:
    """A compiled program over the tensors of a chunk."""

    numberless = False

    def __init__(self, run: Callable[..., None], program: Program, fields: Fields, items: Items) -> None:
        self.run, self.fields, self.items = run, fields, items
        names = [name for name, *_ in program.columns]
        self.base = (ctypes.c_void_p * len(names))(*(fields.addresses[name].data_ptr() for name in names))
        self.whole = list(self.base)
        self.sums = torch.zeros(len(items.given), len(program.sums), dtype=torch.float64)
        self.spare = spare(program)
        self.moves = any(names[column] == "p" for column, _ in program.stores)

    def __call__(self, numbers: Tensor, fit: Fit) -> Tensor:
        """Walk over all items, each thread over a range of them; ctypes lets them run side by side."""
        if not fit:
            return self.sums.zero_()
        apart = width(numbers)
        for column, slot, other in self.spare:  # what is multiplied by 0 need not be fetched
            silent = apart == 0 and float(numbers[0, 3 * slot]) == 0.0
            self.base[column] = self.whole[other if silent else column]
        table, c, sums = self.items.table.data_ptr(), numbers.data_ptr(), self.sums.data_ptr()
        spread(self.items, lambda first, last: self.run(self.base, table, first, last, c, apart, sums))
        if self.moves:  # autograd must notice; it does not see what goes through addresses
            torch.autograd.graph.increment_version(self.fields.columns["p"])
        return self.sums


def spare(program: Program) -> list[tuple[int, int, int]]:
    """Columns that are only read, and only to be multiplied by a number: (column, its slot, a column read anyway)."""
    ops, written = program.ops, {column for column, _ in program.stores}
    found = {}
    for place, op in enumerate(ops):
        users = [other for other in ops if other[0] not in ("load", "number") and place in other[1:]]
        number = ops[users[0][2]] if len(users) == 1 and users[0][0] == "mul" else ("",)
        if op[0] == "load" and op[1] not in written and number[0] == "number" and number[2] == "plain":
            found[op[1]] = number[1]
    kinds = {c[1:]: i for i, c in enumerate(program.columns) if c[0] == "p"}  # finite, if anything is
    return [(i, slot, kinds[kind]) for i, slot in found.items() if (kind := program.columns[i][1:]) in kinds]


ALONE = 1 << 18  # coordinates below which a second thread costs more than it gives


def spread(items: Items, work: Callable[[int, int], None]) -> None:
    """Give every thread of torch's a range of the items."""
    threads = min(torch.get_num_threads(), items.size // ALONE)
    if threads < 2:
        return work(0, len(items.given))
    (here, *others) = items.shares(threads)
    pending = [_pool(threads - 1, os.getpid()).submit(work, *share) for share in others]
    try:
        work(*here)
    finally:
        wait(pending)  # also after Ctrl-C: they write to memory that is ours only until then
    for each in pending:
        each.result()


@lru_cache(maxsize=4)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    # one for each process: threads do not survive a fork, and a pool that thinks they did waits for ever
    return ThreadPoolExecutor(threads, thread_name_prefix="fallline")
