"""Step lengths by a throw of dice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Step

PRIME = (1 << 26) - 5  # 3 does not divide PRIME - 1, so that cubes are a permutation; products stay below 2^53
ROUNDS = (51378829, 20174341, 60422531, 7936117, 33550337, 44182199, 12979147, 55208963)


@final
@dataclass(frozen=True)
class RandomScale(Step):
    """Every step is as long as lr says in the mean, by an exponential draw (random scaling).

        size = lr s_n,    s_n ~ Exp(1):  E s = 1, E s^2 = 2

    After it, the gradient at theta_n stands for the mean gradient along the step: that makes SGD with momentum an
    online learner that finds stationary points. One draw for all weights of an age. A function of seed and n, not a
    stream: nothing is saved, resuming is exact, processes and devices agree; it repeats after 6.7e7 steps. Units: lr's.
    Reference: Zhang & Cutkosky, arXiv 2405.09742 (the abstract was read).

    >>> n = torch.arange(1.0, 100001.0, dtype=torch.float64)
    >>> round(float(draw(0, n).mean()), 2)
    1.0
    """

    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise ValueError(f"Invalid seed: {self.seed!r}; give an integer >= 0.")

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """lr s."""
        return draw(self.seed, t) * lr


def draw(seed: int, t: Tensor) -> Tensor:
    """Exp(1) from a block cipher on the clock: x <- (x + key + constant)^3 modulo a prime, in exact float64."""
    keys = (seed % PRIME, seed // PRIME % PRIME)
    x = _modulo(t.double())
    for i, constant in enumerate(ROUNDS):
        x = _modulo(x + float((keys[i % 2] + constant) % PRIME))
        x = _modulo(_modulo(x * x) * x)
    return -torch.log((x + 0.5) / PRIME)


def _modulo(x: Tensor) -> Tensor:
    """x modulo PRIME for 0 <= x < 2^53."""
    return x - torch.floor(x / PRIME) * PRIME  # a quotient's rounding error is smaller than 1 / PRIME
