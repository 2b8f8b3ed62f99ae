"""Which coordinates are looked at when a few must stand for all."""

from __future__ import annotations

from torch import Tensor

FEW = 32  # coordinates of a small tensor, or all of them
SHARE = 124  # one in so many of a large one
RUN = 64  # coordinates in a row at most, so that reading a large sample is a vector load


def sample(x: Tensor) -> Tensor:
    """All of a tiny x, else at least four runs that are spread over it: 32 coordinates or 1/124 of them, [runs, run].

    Always the same coordinates, in logical order; a view where x is contiguous.

    >>> import torch
    >>> sample(torch.arange(400)).tolist()[0]
    [53, 54, 55, 56, 57, 58, 59, 60]
    """
    flat, n = x.reshape(-1), x.numel()
    size = max(n // SHARE, min(n, FEW))
    run = n if size == n else min(RUN, size // 4)
    rows = size // run
    # A little less than n / rows, and odd: runs must not stay in the same columns of a matrix.
    stride = max(run, n // rows * 17 // 18 | 1)
    first = (n - rows * stride) // 2
    start = (stride - run) // 2
    return flat[first : first + rows * stride].view(rows, stride)[:, start : start + run]
