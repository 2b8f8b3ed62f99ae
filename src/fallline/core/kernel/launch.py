"""Launches: printed Triton kernels, loaded and set off on a device that nobody waits for."""

from __future__ import annotations

import linecache
import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from ..chunk import Fit
from .printed import ALIGNED, Fields
from .symbol import Program
from .table import Items, width

BLOCK = 1 << 10  # coordinates in registers at a time
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}  # fused multiply-adds, as in torch's own kernels
LANES = 128  # items that are added side by side

GATHER = """\
@triton.jit
def fallline_gather(starts, partial, sums, WIDTH: tl.constexpr, LANES: tl.constexpr):
    row = tl.program_id(0)
    column = tl.program_id(1)
    first = tl.load(starts + row)
    last = tl.load(starts + row + 1)
    s = tl.zeros([LANES], tl.float64)
    for at in range(first, last, LANES):
        i = at + tl.arange(0, LANES)
        s = s + tl.load(partial + i * WIDTH + column, mask=i < last, other=0)
    tl.store(sums + row * WIDTH + column, tl.sum(s))
"""


@lru_cache(maxsize=1)
def language() -> tuple[Any, Any] | None:
    """triton and triton.language; None if they cannot be had."""
    try:
        import triton
        import triton.language as tl
    except ImportError:  # torch brings it along with CUDA on Linux
        return None
    return triton, tl


@cache
def load(page: str) -> Any:
    """A printed page as Triton's function. Triton reads its source, so the page stands where tracebacks look too."""
    found = language()
    assert found is not None
    name = page.partition("def ")[2].partition("(")[0]
    where = f"<{name}>"
    linecache.cache[where] = (len(page), None, page.splitlines(keepends=True), where)
    room: dict[str, Any] = {"triton": found[0], "tl": found[1], "__name__": "fallline.core.kernel.printed_for_triton"}
    exec(compile(page, where, "exec"), room)
    return room[name]


class Launch:
    """One program over one table of items, and the sums that it leaves for each tensor."""

    numberless = False

    def __init__(self, page: str, program: Program, fields: Fields, items: Items) -> None:
        device = fields.device
        self.page, self.program, self.fields, self.items = page, program, fields, items
        self.names = [name for name, _, _ in program.columns]
        self.written = [x for column, _ in program.stores for x in fields.columns[self.names[column]]]
        starts = [at for item in items.given for at in item[1:3]]
        kept = [x.data_ptr() for name in self.names if name != "g" for x in fields.columns[name]]
        self.even = all(at % ALIGNED == 0 for at in starts + kept)
        self.always = torch.ones((), dtype=torch.bool, device=device)
        self.partial = torch.zeros(len(items.given), len(program.sums), dtype=torch.float64, device=device)
        self.starts = items.starts
        single = len(self.starts) > len(items.given)
        self.sums = self.partial if single else self.partial.new_zeros(len(self.starts) - 1, len(program.sums))

    def __call__(self, numbers: Tensor, fit: Fit) -> Tensor:
        """Walk; the sums of each tensor, [tensors, sums]."""
        self.walk(numbers, width(numbers), fit if isinstance(fit, Tensor) else self.always if fit else ~self.always)
        torch.autograd.graph.increment_version(self.written)
        return self.sums

    def walk(self, c: Tensor, width: int, fit: Tensor) -> None:
        """Launch it, and what adds up for each tensor."""
        device, tables = self.fields.device, [self.fields.addresses[name] for name in self.names]
        fit = fit.to(device).view(torch.uint8)
        even = self.even and ("g" not in self.names or self.fields.even)
        with _on(device):
            run = load(self.page)[(len(self.items.given),)]
            run(self.items.table, c, width, fit, self.partial, *tables, EVEN=even, BLOCK=BLOCK, **OPTIONS)
            if self.sums is not self.partial and self.program.sums:
                gather = load(GATHER)[tuple(self.sums.shape)]
                gather(self.starts, self.partial, self.sums, WIDTH=self.sums.shape[1], LANES=LANES, **OPTIONS)


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Triton launches on the current device, wherever the addresses point to."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


_sound: dict[tuple[str, torch.device], bool] = {}


def tried(launch: Launch) -> bool:
    """Whether it compiles and launches: tried once for each device, with the gate closed."""
    key = launch.page, launch.fields.device
    try:
        if key not in _sound:
            launch.walk(launch.partial.new_ones(3 * launch.program.numbers), 0, ~launch.always)
    except Exception as error:  # no C compiler for Triton's launcher, an old GPU: whatever it is, training goes on
        _sound[key] = False
        warnings.warn(
            f"Fallline could not run a Triton kernel on {launch.fields.device} and goes on with the readable rule, "
            f"which is slower: {type(error).__name__}: {error} (FALLLINE_TRITON=0 stops the attempt.)",
            stacklevel=2,
        )
    return _sound.setdefault(key, True)
