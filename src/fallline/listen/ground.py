"""Ground: torch's own defaults, whatever a program has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def ground() -> Iterator[None]:
    """New tensors are of float32 on the CPU while it lasts; also a decorator.

    >>> torch.set_default_dtype(torch.float64)
    >>> with ground():
    ...     torch.zeros(1).dtype
    torch.float32
    >>> torch.zeros(1).dtype
    torch.float64
    >>> torch.set_default_dtype(torch.float32)
    """
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)
