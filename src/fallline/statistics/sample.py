"""Which coordinates are looked at when a few must stand for all."""

from __future__ import annotations

from torch import Tensor

from ..core.field import Elsewhere, Runs

SMALL, FEW = 2048, 32  # a tensor below 2048 shows one run of 32 coordinates, or all that it has
SHARE, MANY, REST = 124, 64, 1024  # one in 124 of a large one up to 64 runs, and one in 1024 of what is beyond
RUN = 64  # coordinates in a row, so that reading them is a vector load


def runs(n: int) -> Runs:
    """The sample of n coordinates: one run or more, spread over them.

    A walk over scattered runs costs cache misses, not arithmetic: beyond 4096 coordinates of a tensor a finer sample
    costs more than it tells (docs/speed.md).

    >>> runs(20), runs(10**5).rows, runs(10**7).rows
    (Runs(start=0, run=20, stride=20, rows=1), 12, 208)
    """
    run = RUN if n >= SMALL else min(n, FEW)
    full = min(n // SHARE // RUN, MANY)
    rows = max(full + max(n - MANY * RUN * SHARE, 0) // REST // RUN, 1)
    # A little less than n / rows, and odd: runs must not stay in the same columns of a matrix.
    stride = max(run, n // rows * 17 // 18 | 1) if rows > 1 else run
    return Runs((n - rows * stride) // 2 + (stride - run) // 2, run, stride, rows)


def sample(x: Tensor) -> Tensor:
    """The sampled coordinates of x, [rows, run].

    Always the same ones, in logical order; a view where x is contiguous.

    >>> import torch
    >>> sample(torch.arange(400)).tolist()[0][:4]
    [184, 185, 186, 187]
    """
    if isinstance(x, Elsewhere):
        return x.sample(sample)  # type: ignore[return-value]  # a field, as a Tensor is
    start, run, stride, rows = runs(x.numel())
    first = start - (stride - run) // 2
    return x.reshape(-1)[first : first + rows * stride].view(rows, stride)[:, start - first : start - first + run]
