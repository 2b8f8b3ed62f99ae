"""Kernels: a rule in one pass over memory, where there is a way to have it.

The table that this package is: composition -> kernel. A rule is run once on symbols (`symbol`), which gives a program
(`reading`); backends turn programs into something that runs. torch's own fused kernels come first, for programs that
are recognised as theirs; then C on the host (`native`) and Triton on CUDA, printed from the program. Without any of
them the readable rule walks: delete this package, let `route` give None, and everything still works, slower.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Parameter

from ..chunk import Chunk
from .fused import Fused
from .native import Native
from .printed import Printed, readings
from .reading import write
from .table import PIECE, Items, pieces, samples
from .triton import PIECE as TRITON_PIECE
from .triton import SAMPLE, Triton

DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def plain(p: Tensor) -> bool:
    """Whether a parameter and its gradient are dense memory that an address describes."""
    return type(p) in (Parameter, Tensor) and p.dtype in DTYPES and p.is_contiguous() and dense(p, p.grad)


def dense(p: Tensor, g: Tensor | None) -> bool:
    """Whether a gradient lies in memory as its parameter does; asked in every step, so no more than needed."""
    return type(g) is Tensor and g.dtype is p.dtype and g.layout is torch.strided and g.is_contiguous()


def route(chunk: Chunk, late: bool) -> Chunk | None:
    """The chunk on the fastest route there is for its rule; None if that is the readable one."""
    owners, rule = chunk.owners, chunk.rule
    if (
        chunk.group["foreach"] is not None
        or not rule.metric.elementwise
        or not rule.write.traced
        or not plain(owners[0])
    ):
        return None
    with torch.device("cpu"):  # whatever the user's default device is
        chunk.route = _printed(chunk, late) or chunk.route
    return chunk if isinstance(chunk.route, Printed) else None


def _printed(chunk: Chunk, late: bool) -> Printed | None:
    """Passes over tables, if there is a backend for each of them."""
    if not _speaks(chunk, late):
        return None
    owners, rule = chunk.owners, chunk.rule
    sizes, device = [p.numel() for p in owners], owners[0].device
    size, few = (PIECE, None) if device.type == "cpu" else (TRITON_PIECE, SAMPLE)
    everything = Items(pieces(sizes, size), device)
    sample = everything
    if rule.scouts:
        part = next(part for part in rule.choosers.values() if part.runs(1))
        sample = Items(samples([part.runs(n) for n in sizes], few), device)
    made = Printed(chunk, late, everything, sample, [Fused(chunk), Native(), Triton()])
    return made if made.complete else None


def _speaks(chunk: Chunk, late: bool) -> bool:
    """Whether symbols understand all that the rule says."""
    try:
        for reading in readings(chunk, late):
            write(chunk.rule, reading, chunk.p.dtype, bool(chunk.group["maximize"]))
    except (AttributeError, TypeError, NotImplementedError):
        return False
    return True
