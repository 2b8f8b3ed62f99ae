"""Compensation: what rounding took is remembered and given back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.write import Write


@final
@dataclass(frozen=True)
class Kahan(Write):
    """What rounding takes from the weights is kept beside them and counted in at the next step.

        w = theta + c,    w <- w - step d,    theta <- round(w),    c <- round(w - theta)

    theta + c has twice the weights' digits: 2^-17 of a bfloat16 weight, where a step below half of that is lost.
    Deterministic. Memory: `c`, like the weights and in their dtype. Reference: Kahan 1965, doi 10.1145/363707.363723;
    Zamirai et al., arXiv 2010.06192.

    >>> p, t = torch.ones(1, dtype=torch.bfloat16), torch.tensor(1.0)
    >>> mem = Memory(Kahan().memory(p))
    >>> Kahan().close(p, torch.tensor([0.999]), mem, t); float(Kahan().open(p, torch.float32, mem, t))
    0.999
    """

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The compensation."""
        return {"c": torch.zeros_like(p)}

    def open(self, p: Field, dtype: torch.dtype, mem: Memory, t: Tensor) -> Field:
        """theta + c."""
        return p.to(dtype) + mem.c.to(dtype)

    def close(self, p: Field, work: Field, mem: Memory, t: Tensor) -> None:
        """theta <- w, c <- w - theta."""
        p.copy_(work)
        mem.c.copy_(work - p.to(work.dtype))
