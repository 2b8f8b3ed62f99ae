"""How the arguments `write` and `state_dtype` are read."""

from __future__ import annotations

from typing import Any

import torch

from ..core.write import Write
from ..writes import Kahan, Nearest, Stochastic

WRITES: dict[Any, Write] = {
    None: Nearest(),
    "nearest": Nearest(),
    "stochastic": Stochastic(),
    "kahan": Kahan(),
}


def precision(write: str | Write | None, state_dtype: torch.dtype) -> dict[str, Any]:
    """The end of a sentence: how results are rounded into the weights, and in which dtype they are computed.

    >>> precision("kahan", torch.float64)
    {'write': Kahan(), 'state_dtype': torch.float64}
    """
    if isinstance(write, str) and write not in WRITES:
        raise ValueError(
            f"Invalid write: {write!r}; choose 'nearest', 'stochastic', 'kahan', or a part such as Stochastic(seed=1)."
        )
    known = write is None or isinstance(write, str)
    return {"write": WRITES[write] if known else write, "state_dtype": state_dtype}
