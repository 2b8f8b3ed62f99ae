"""How much each step's weights count in an average of all of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, many, over
from ..core.memory import Memory, numbers
from ..core.part import Part


@dataclass(frozen=True)
class Weights(Part):
    """The weights w_n of an average x_n = (sum_k w_k z_k) / (sum_k w_k), as x <- x + c_n (z_n - x)."""

    @abstractmethod
    def share(self, size: Field | float, mem: Memory, t: Tensor) -> Tensor:
        """c_n = w_n / (sum_k w_k), 0-d float64; size: how long step n was."""


@final
@dataclass(frozen=True)
class Uniform(Weights):
    """All weights count alike (Polyak and Ruppert), or all after the first steps: c_n = 1 / max(1, n - after).

    Up to step after + 1 the average is the last weights. after >= 0, a number of steps. Memory: none.
    Reference: Polyak & Juditsky 1992; with `after`, tail averages.

    >>> [float(Uniform().share(0.1, Memory({}), torch.tensor(float(n)))) for n in (1, 2, 4)]
    [1.0, 0.5, 0.25]
    """

    after: int = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.after, int) and self.after >= 0):
            raise ValueError(f"Invalid after: {self.after!r}; give a number of steps >= 0 that do not count.")

    def share(self, size: Field | float, mem: Memory, t: Tensor) -> Tensor:
        """1 / max(1, n - after)."""
        return 1 / (t - self.after).clamp(min=1.0)


@final
@dataclass(frozen=True)
class Polynomial(Weights):
    """Late weights count more, by a power and without a horizon: c_n = (1 + gamma) / (n + gamma), w_n ~ n^gamma.

    The average looks back over the last 1 / (1 + gamma) or so of the run, however long it is. gamma >= 0; 0: `Uniform`.
    Memory: none. Reference: Shamir & Zhang, arXiv 1212.1824; DoG, arXiv 2302.12022, with gamma = 8.

    >>> [round(float(Polynomial(8).share(0.1, Memory({}), torch.tensor(float(n)))), 2) for n in (1, 2, 10)]
    [1.0, 0.9, 0.5]
    """

    gamma: float = 8.0

    def __post_init__(self) -> None:
        if not (isinstance(self.gamma, (int, float)) and self.gamma >= 0.0):
            raise ValueError(f"Invalid gamma: {self.gamma!r}; a power >= 0, 0 for Uniform().")

    def share(self, size: Field | float, mem: Memory, t: Tensor) -> Tensor:
        """(1 + gamma) / (n + gamma)."""
        return (1 + self.gamma) / (t + self.gamma)


@final
@dataclass(frozen=True)
class Exponential(Weights):
    """The last 1 / (1 - beta) steps or so, unbiased from the first: w_k = beta^-k, c_n = (1 - beta) / (1 - beta^n).

    beta in [0, 1); 0: the last weights. Memory: none. Reference: Adam's correction, arXiv 1412.6980.

    >>> [round(float(Exponential(0.5).share(0.1, Memory({}), torch.tensor(float(n)))), 2) for n in (1, 2, 9)]
    [1.0, 0.67, 0.5]
    """

    beta: float = 0.999

    def __post_init__(self) -> None:
        _check_decay(self.beta)

    def share(self, size: Field | float, mem: Memory, t: Tensor) -> Tensor:
        """(1 - beta) / (1 - beta^n)."""
        return (1 - self.beta) / (1 - self.beta**t)


@final
@dataclass(frozen=True)
class Uncorrected(Weights):
    """An exponential average that starts at the first weights, as most code has it: c_n = 1 - beta.

    It holds beta^n of the weights before training, which is nearly all until 1 / (1 - beta) steps are over; rather take
    `Exponential`. beta in [0, 1). Memory: none.

    >>> float(Uncorrected(0.5).share(0.1, Memory({}), torch.tensor(1.0)))
    0.5
    """

    beta: float = 0.999

    def __post_init__(self) -> None:
        _check_decay(self.beta)

    def share(self, size: Field | float, mem: Memory, t: Tensor) -> Tensor:
        """1 - beta."""
        return torch.ones_like(t) * (1 - self.beta)


@final
@dataclass(frozen=True)
class Sizes(Weights):
    """Weights after longer steps count more (schedule-free): w_n = n^r (max_{k <= n} size_k)^p.

    So what was seen in a warm-up hardly counts. Where a size is not one number for all, p counts as 0. r, p >= 0; both
    0: `Uniform`. Memory: `sum`, `peak`, once. Reference: Defazio et al., arXiv 2405.15682.

    >>> x = torch.zeros(1)
    >>> mem = Memory(Sizes().memory(x))
    >>> [float(Sizes().share(lr, mem, torch.tensor(n, dtype=torch.float64))) for n, lr in ((1.0, 1.0), (2.0, 3.0))]
    [1.0, 0.9]
    """

    r: float = 0.0
    p: float = 2.0

    def __post_init__(self) -> None:
        if not (self.r >= 0.0 and self.p >= 0.0):
            raise ValueError(f"Invalid {self}: r and p are powers >= 0.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The sum of the weights so far, and the longest step."""
        return numbers({"sum": 0.0, "peak": 0.0}, p.device)

    def share(self, size: Field | float, mem: Memory, t: Tensor) -> Tensor:
        """w / sum w; 0 while nothing has moved."""
        length = torch.ones_like(mem.peak) if many(size) else torch.ones_like(mem.peak) * size
        mem.peak.copy_(torch.maximum(mem.peak, length))
        w = t**self.r * mem.peak**self.p
        mem.sum.add_(w)
        return over(w, mem.sum)


def _check_decay(beta: float) -> None:
    if not (isinstance(beta, (int, float)) and 0.0 <= beta < 1.0):
        raise ValueError(f"Invalid beta: {beta!r}; a decay factor lies in [0, 1).")
