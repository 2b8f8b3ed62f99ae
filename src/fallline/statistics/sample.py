"""Which coordinates are looked at when a few must stand for all."""

from __future__ import annotations

from torch import Tensor

RUN = 64  # coordinates in a row, so that reading the sample is a vector load
# A run begins every so many coordinates: 1/124 of a tensor. Prime, so that runs do not stay in the same columns.
STRIDE = 7919


def sample(x: Tensor) -> Tensor:
    """Runs of up to 64 coordinates spread over x, 1/64 of a small tensor and 1/124 of a large one: [runs, run].

    Always the same coordinates, in logical order; a view where x is contiguous.

    >>> import torch
    >>> sample(torch.arange(640)).tolist()
    [[315, 316, 317, 318, 319, 320, 321, 322, 323, 324]]
    """
    flat, n = x.reshape(-1), x.numel()
    run = min(max(n // RUN, 1), RUN)
    stride = min(STRIDE, n)
    rows = flat[: n // stride * stride].view(-1, stride)
    start = (stride - run) // 2
    return rows[:, start : start + run]
