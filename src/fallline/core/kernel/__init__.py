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
from .native import Native
from .printed import Printed
from .table import PIECE, Items, pieces, samples
from .triton import PIECE as TRITON_PIECE
from .triton import SAMPLE, Triton

DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def plain(p: Tensor) -> bool:
    """Whether a parameter and its gradient are dense memory that an address describes."""
    g = p.grad
    return (
        type(p) in (Parameter, Tensor)
        and type(g) is Tensor
        and g.dtype is p.dtype
        and p.dtype in DTYPES
        and p.is_contiguous()
        and g.is_contiguous()
    )


def route(chunk: Chunk, late: bool) -> Chunk | None:
    """The chunk on the fastest route there is for its rule; None if that is the readable one."""
    owners, rule = chunk.owners, chunk.rule
    if chunk.group["foreach"] is not None or not rule.metric.elementwise or not plain(owners[0]):
        return None
    sizes, device = [p.numel() for p in owners], owners[0].device
    size, few = (PIECE, None) if device.type == "cpu" else (TRITON_PIECE, SAMPLE)
    everything = Items(pieces(sizes, size), device)
    sample = everything
    if rule.scouts:
        part = next(part for part in rule.choosers.values() if part.runs(1))
        sample = Items(samples([part.runs(n) for n in sizes], few), device)
    try:
        with torch.device("cpu"):  # whatever the user's default device is
            made = Printed(chunk, late, everything, sample, [Native(), Triton()])
    except (AttributeError, TypeError):  # a part that says what symbols do not understand
        return None
    if not made.complete:
        return None
    chunk.route = made
    return chunk
