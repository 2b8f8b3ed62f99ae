"""Write: how a result is rounded into the weights. Nearest stands here because it is what a rule has unless told."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from .field import Field
from .memory import Memory
from .part import Part


class Write(Part):
    """How a result is rounded into weights that are narrower than the arithmetic.

        w = open(theta),    w <- w - step d in the wider dtype,    theta <- close(w)

    Asked only where a rule computes in another dtype than the weights have; elsewhere it computes on the weights
    themselves, nothing is rounded, and nothing is remembered. `memory(p)` sees the weights in their own dtype.
    """

    traced: ClassVar[bool] = True  # written in the vocabulary of fields alone, so that a kernel can be made of it

    def open(self, p: Field, dtype: torch.dtype, mem: Memory, t: Tensor) -> Field:
        """The weights as the rule computes with them."""
        return p.to(dtype)

    @abstractmethod
    def close(self, p: Field, work: Field, mem: Memory, t: Tensor) -> None:
        """Write work back into p."""


@final
@dataclass(frozen=True)
class Nearest(Write):
    """The nearest number, as PyTorch rounds: theta <- round(w).

    A step below half the spacing, 2^-9 of a bfloat16 weight, is lost, and so are a thousand of them. Memory: none.

    >>> p, t = torch.ones(1, dtype=torch.bfloat16), torch.tensor(1.0)
    >>> Nearest().close(p, torch.tensor([0.999]), Memory({}), t); float(p)
    1.0
    """

    def close(self, p: Field, work: Field, mem: Memory, t: Tensor) -> None:
        """p <- w."""
        p.copy_(work)
