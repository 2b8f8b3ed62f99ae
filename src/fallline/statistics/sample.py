"""Which coordinates are looked at when a few must stand for all."""

from __future__ import annotations

from ..core.field import Bundle, Elsewhere, Field, Shards, each
from ..core.place import Runs

FEW = 32  # coordinates of a small tensor, or all of them
SHARE, MANY, REST = 124, 4096, 1024  # one in 124 of a large one up to 4096, and one in 1024 of what is beyond
RUN = 64  # coordinates in a row at most: four cache lines


def runs(n: int) -> Runs:
    """The sample of n coordinates: all of a few, else at least four runs that are spread over them.

    Four runs of 16 tell more than one of 64. And a walk over scattered runs costs cache misses, not arithmetic: beyond
    4096 coordinates of a tensor a finer sample costs more than it tells (LOG.md).

    >>> runs(20), runs(10**5).rows, runs(10**7).rows
    (Runs(start=0, run=20, stride=20, rows=1), 12, 208)
    """
    size = max(min(n // SHARE, MANY) + max(n - MANY * SHARE, 0) // REST, min(n, FEW))
    run = n if size == n else min(RUN, size // 4)
    rows = size // run if n else 1
    # A little less than n / rows, and odd: runs must not stay in the same columns of a matrix.
    stride = max(run, n // rows * 17 // 18 | 1) if n else 0
    return Runs((n - rows * stride) // 2 + (stride - run) // 2, run, stride, rows)


def sample(x: Field) -> Field:
    """The sampled coordinates of x, [rows, run].

    Always the same ones, in logical order; a view where x is contiguous. Of a shard, the sample of the whole tensor, in
    which only the coordinates that lie here count.

    >>> import torch
    >>> sample(torch.arange(400)).tolist()[0][:4]
    [53, 54, 55, 56]
    """
    if isinstance(x, Elsewhere):
        return x.sample(sample)  # type: ignore[return-value]  # a field, as a Tensor is
    if isinstance(x, Shards):
        return x.sample(runs)
    if isinstance(x, Bundle):
        return each(sample, x)
    start, run, stride, rows = runs(x.numel())
    first = start - (stride - run) // 2
    return x.reshape(-1)[first : first + rows * stride].view(rows, stride)[:, start - first : start - first + run]
