"""Turn: whole matrices are looked at one after the other, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from . import habit
from .look import look
from .spot import Spot, real

EVERY = 32  # steps between looks
AT_ONCE = 2  # matrices at a time,
SHARE = 1 / 32  # and of all numbers no more than these, but one matrix
KEPT = 4096  # looks that are remembered


class Turns:
    """Looks at matrices: the parameter and what was seen of it, [WIDTH] on its device."""

    def __init__(self, spots: Sequence[Spot]) -> None:
        self.spots = spots
        self.next = deque(i for i, s in enumerate(spots) if _matrix(s))
        self.seen: deque[tuple[int, Tensor]] = deque(maxlen=KEPT)
        self.most = SHARE * sum(s.here for s in spots)

    @torch.no_grad()
    def take(self, opt: Optimizer, who: Container[int]) -> None:
        """Before a step of an optimizer: look at the next ones that it moves."""
        left = self.most
        for taken in range(min(AT_ONCE, len(self.next))):
            i = self.next[0]
            left -= self.spots[i].here
            if taken and left < 0:
                return
            self.next.rotate(-1)
            p = self.spots[i].p
            if i in who and p is not None and p.grad is not None:
                kept = opt.state.get(p, {})
                flat = [
                    None if x is None else real(x).flatten(1) for x in (habit.buffer(kept, p), habit.moment(kept, p))
                ]
                self.seen.append((i, look(real(p.grad).flatten(1), *flat)))


def _matrix(s: Spot) -> bool:
    p = s.p
    return p is not None and p.ndim > 1 and not p.is_complex() and s.share > 0 and min(real(p).flatten(1).shape) > 1
