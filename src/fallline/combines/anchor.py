"""Weights that are drawn back to where they began, less and less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Combine


@final
@dataclass(frozen=True)
class Anchor(Combine):
    """Dual averaging's pull to the first weights, in place of weight decay (SODA).

        W_n = W_{n-1} + u_n + (W_0 - W_{n-1}) / (n + 1),  u_n the step   =>   W_n - W_0 = sum_k (k + 1) / (n + 1) u_k

    The newest step counts in full, older ones less the older they are. The pull does not know the lr: a zero move goes
    towards W_0. W_0 are the weights at the first step (or `state_dict`). Memory: `w0`, like the parameter.
    Reference: arXiv 2605.11172, as published code has it; the paper's optimistic variants were not read.

    >>> import torch
    >>> p = torch.zeros(1)
    >>> mem = Memory(Anchor().memory(p))
    >>> Anchor().enter(p, torch.ones(1), 0.1, mem, torch.tensor(1.0)); p
    tensor([1.])
    >>> Anchor().enter(p, torch.ones(1), 0.1, mem, torch.tensor(2.0)); p
    tensor([1.6667])
    """

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weights as they are at first."""
        return {"w0": p.detach().clone()}

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- p + move + (w0 - p) / (t + 1)."""
        p.add_(move + (mem.w0 - p).div(t + 1))
