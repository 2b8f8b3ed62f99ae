"""Kernel: reading rows, what a block of them says, and the shape of a matrix, a call of C each if there is a compiler.

An optimizer's step leaves nothing in the caches; after it an operation of torch takes some ten microseconds, however
little it has to do. `Reach`, `Window` and `look` say the same with tensors: they run elsewhere; tests hold both equal.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor
from torch.nn import Parameter

from ..core.kernel import compiler
from .column import BETAS, BLOCK, GRAM, POWERS
from .spot import RUN, Spot

if TYPE_CHECKING:
    from .window import Window

NONE = type(None)
PLAIN = {Tensor, Parameter, NONE}  # a subclass may have its numbers elsewhere, or nowhere
KRYLOV = 4  # of a matrix that is looked at: products with X, and one less with X^T
TILE = 8  # rows whose products are taken together: 256 bytes of each step
POINTERS = ("ring", "sound", "v", "weight", "extra", "runs", "sums", "counts", "recent", "taps", "tried", "seen")
NUMBERS = ("tensors", "rows", "length", "at", "lags", "betas", "columns", "missed")


def page() -> Any:
    """The compiled kernel.c; None where it cannot be had."""
    return _page(compiler.compiler())


@lru_cache(maxsize=4)
def _page(who: str | None) -> Any:
    told: dict[str, object] = {"RUN": RUN, "BLOCK": BLOCK, "ROWS": TILE, "KRYLOV": KRYLOV, "POWERS": len(POWERS)}
    told["PAIRS"] = ", ".join(f"{{{GRAM.index(pair[0])}, {GRAM.index(pair[1])}}}" for pair in POWERS)
    head = "".join(f"#define {name} {value}\n" for name, value in told.items())
    return compiler.library(head + (Path(__file__).parent / "kernel.c").read_text(encoding="utf-8")) if who else None


def passes(x: Tensor, tiny: float, rounding: float) -> tuple[Tensor, Tensor, Tensor] | None:
    """Of a float32 matrix in the host's memory `look.squares` and `look.bidiagonal`; None of another."""
    if x.device.type != "cpu" or x.dtype is not torch.float32 or x.stride(1) != 1 or page() is None:
        return None
    m, n = x.shape
    rows, columns, found = x.new_empty(m), x.new_empty(n), x.new_zeros(KRYLOV, KRYLOV)
    tensors = rows, columns, found, x.new_empty(m), x.new_empty(n)
    sizes = (ctypes.c_int64(i) for i in (m, n, x.stride(0)))
    where = (ctypes.c_void_p(t.data_ptr()) for t in tensors)
    page().passes(ctypes.c_void_p(x.data_ptr()), *sizes, *where, ctypes.c_float(tiny), ctypes.c_float(rounding))
    return rows, columns, found


@final
class Pick:
    """Runs of float32 tensors that lie in the host's memory as they did when they were chosen."""

    def __init__(self, spots: Sequence[Spot], starts: Sequence[int]) -> None:
        """starts: the first row of each tensor."""
        self.page = page()
        self.sizes = [s.here for s in spots]
        self.strides = [None if _dense(s) else s.strides for s in spots]
        self.dense = not any(self.strides)
        items = []
        for i, (s, at) in enumerate(zip(spots, starts, strict=True)):
            items.append((i, s.runs.start, s.runs.stride, s.runs.rows, RUN, at))
            items += [(i, s.here - s.tail, 0, 1, s.tail, at + s.runs.rows)] if s.tail else []
        self.items = torch.tensor(items, dtype=torch.int64)
        self.able = self.page is not None and all(s.plain for s in spots)

    def __call__(self, tensors: Sequence[Tensor | None], to: Tensor) -> bool:
        """Write them into rows [R, RUN]; False, and nothing is written, where a tensor is of another kind."""
        at = self._addresses(tensors) if self.able else None
        if at is None:
            return False
        base, table, rows = map(ctypes.c_void_p, (at.buffer_info()[0], self.items.data_ptr(), to.data_ptr()))
        self.page.pick(base, table, ctypes.c_int64(len(self.items)), rows)
        return True

    def _addresses(self, tensors: Sequence[Tensor | None]) -> array[int] | None:
        """Where they lie; 0 for one that is not there. None where one is not as it was: its address says nothing."""
        kinds = set(map(type, tensors))  # in a hurry, since this is asked in every step: `map` leaves the asking to C
        if not kinds <= PLAIN:
            return None
        if NONE not in kinds:
            here: Any = tensors
            return array("Q", map(Tensor.data_ptr, here)) if self._fit(here, self.sizes, self.strides) else None
        some = [x is not None for x in tensors]
        parts: Any = [list(compress(x, some)) for x in (tensors, self.sizes, self.strides)]
        return array("Q", [x.data_ptr() if x is not None else 0 for x in tensors]) if self._fit(*parts) else None

    def _fit(self, here: Sequence[Tensor], sizes: list[int], strides: Sequence[tuple[int, ...] | None]) -> bool:
        if not all(map(isinstance, here, repeat(torch.FloatTensor))) or list(map(Tensor.numel, here)) != sizes:
            return False
        if self.dense:
            return all(map(Tensor.is_contiguous, here))
        return all(x.stride() == s if s else x.is_contiguous() for x, s in zip(here, strides, strict=True))

    @property
    def bytes(self) -> int:
        """Memory."""
        return self.items.nbytes


def _dense(s: Spot) -> bool:
    """Whether its numbers lie in the order of rows."""
    return s.strides == torch.empty(s.shape, device="meta").stride()


class _Block(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in (*POINTERS, "tile", "value", "owner")),
        *((name, ctypes.c_int64) for name in NUMBERS),
        *(("parts", ctypes.c_float * 4), ("decay", ctypes.c_float), ("tiny", ctypes.c_float)),
    )


@final
class Block:
    """What a block of a window's steps says, added to its tally."""

    def __init__(self, window: Window, decay: float, tiny: float) -> None:
        self.window, self.recent = window, torch.zeros(len(window.spots), 2)
        self.room = torch.empty(window.length, TILE, RUN), torch.empty(TILE, window.columns.total)
        tensors = [window.ring, window.sound, window.v, window.weight, window.extra, window.tally.runs]
        tensors += [window.tally.sums, window.tally.counts, self.recent, window.taps, window.tried, window.seen]
        self.given = given = _Block(*(x.data_ptr() for x in (*tensors, *self.room, window.owner)))
        given.tensors, given.rows, given.length = len(window.spots), len(window.owner), window.length
        given.lags, given.betas, given.columns = window.columns.window + 1, len(BETAS), window.columns.total
        given.decay, given.tiny = decay, tiny
        self.call = page().block

    def __call__(self, crossed: int, moved: int) -> Tensor:
        """Add; |g|^2 and <g_n, g_{n-1}> of every tensor, [T, 2], the same tensor each time."""
        window, given = self.window, self.given
        sums, counts = window.tally.open()
        given.sums, given.counts, given.at, given.missed = sums.data_ptr(), counts.data_ptr(), window.at, window.missed
        given.parts[:] = (crossed, crossed, moved, moved)
        self.call(ctypes.byref(given))
        window.tally.shut()
        return self.recent

    @property
    def bytes(self) -> int:
        """Memory."""
        return sum(x.nbytes for x in (self.recent, *self.room))
