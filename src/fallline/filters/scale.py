"""How loud the chosen filter speaks: four ways to fix the size of an output whose momentum changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.chooser import Scale
from ..core.memory import Memory
from ..core.part import Filter

NOTHING = Memory({})


@final
@dataclass(frozen=True)
class UnitGain(Scale):
    """Sum of the taps 1: the effective learning rate is lr, whatever the momentum.

    >>> import torch
    >>> float(UnitGain().factor(torch.tensor(0.5), torch.tensor(0.1), torch.tensor(0.9), torch.tensor(3.0)))
    2.0
    """

    unit: ClassVar[bool] = True

    def factor(self, gain: Tensor, energy: Tensor, beta: Tensor, t: Tensor) -> Tensor:
        """1 / gain."""
        return 1 / gain


@final
@dataclass(frozen=True)
class UnitPower(Scale):
    """Sum of the squared taps 1: the effective learning rate moves by sqrt((1 + beta) / (1 - beta)), x14 at .99.

    Choosing the momentum then chooses the learning rate as well, which anneals by itself on quadratics.
    """

    signed: ClassVar[bool] = True

    def factor(self, gain: Tensor, energy: Tensor, beta: Tensor, t: Tensor) -> Tensor:
        """1 / sqrt(energy)."""
        return energy.rsqrt()


@final
@dataclass(frozen=True)
class GainOf(Scale):
    """The gain of a reference filter at the same age, so that a learning rate tuned with it keeps its meaning.

    With GainOf(HeavyBall(0.9)) a candidate of momentum 0.9 is exactly the heavy ball.
    """

    reference: Filter

    def factor(self, gain: Tensor, energy: Tensor, beta: Tensor, t: Tensor) -> Tensor:
        """gain of the reference / gain."""
        return self.reference.gain(NOTHING, t) / gain


@final
@dataclass(frozen=True)
class Undamped(Scale):
    """Raw heavy ball, sum_j beta^j g_{n-j}: from .5 to .99 the effective lr jumps 50-fold (the paper's literal SGD)."""

    def factor(self, gain: Tensor, energy: Tensor, beta: Tensor, t: Tensor) -> Tensor:
        """1 / (1 - beta)."""
        return 1 / (1 - beta)
