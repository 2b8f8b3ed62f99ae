"""Adding a direction to the weights, with the kinds of weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.field import Bundle, Field
from ..core.memory import Memory
from ..core.part import Combine


@final
@dataclass(frozen=True)
class Decoupled(Combine):
    """Weights shrink beside the step (AdamW): theta <- (1 - lr decay) theta - lr d.

    decay >= 0, per unit of lr, at the present lr. Reference: Loshchilov & Hutter, arXiv 1711.05101.

    >>> import torch
    >>> p, t = torch.ones(1), torch.tensor(1.0)
    >>> Decoupled(0.5).enter(p, torch.tensor([-0.1]), 0.1, Memory({}), t); p
    tensor([0.8500])
    """

    decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.decay)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- (1 - size decay) p + move."""
        if self.decay:
            p.mul_(_kept(size, self.decay))
        p.add_(move)


@final
@dataclass(frozen=True)
class Coupled(Combine):
    """Decay as part of the loss (L2): g <- g + decay theta, seen by filter and metric.

    decay >= 0, the factor of half the squared norm in the loss. Reference: torch.optim.SGD and Adam.

    >>> import torch
    >>> Coupled(0.5).gradient(torch.zeros(1), torch.ones(1), Memory({}), torch.tensor(1.0))
    tensor([0.5000])
    """

    decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.decay)

    def gradient(self, g: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """g + decay p."""
        return g + p.mul(self.decay) if self.decay else g

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- p + move."""
        p.add_(move)


@final
@dataclass(frozen=True)
class Steady(Combine):
    """Weights shrink by the lr that was set, whatever size the step found: theta <- (1 - lr decay) theta - size d.

    decay >= 0, per unit of lr. For steps that make lr their own, where `Decoupled` would follow the size that they
    found. Reference: AEGDW, arXiv 2010.05109.

    >>> import torch
    >>> p, t = torch.ones(1), torch.tensor(1.0)
    >>> Steady(0.5).fade(p, 0.1, Memory({}), t); p
    tensor([0.9500])
    """

    decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.decay)

    def fade(self, p: Field, lr: float | Tensor, mem: Memory, t: Tensor) -> None:
        """p <- (1 - lr decay) p."""
        if self.decay:
            p.mul_(1 - lr * self.decay)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- p + move."""
        p.add_(move)


@final
@dataclass(frozen=True)
class Proximal(Combine):
    """The squared norm is minimised with the step, not beside it: theta <- (theta - size d) / (1 + lr decay).

    The step divides its size itself, as `TruncatedModel` does. decay >= 0. Reference: MoMo, arXiv 2305.07583.

    >>> import torch
    >>> p, t = torch.ones(1), torch.tensor(1.0)
    >>> Proximal(10.0).fade(p, 0.1, Memory({}), t); p
    tensor([0.5000])
    """

    decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.decay)

    def fade(self, p: Field, lr: float | Tensor, mem: Memory, t: Tensor) -> None:
        """p <- p / (1 + lr decay)."""
        if self.decay:
            p.mul_(1 / (1 + lr * self.decay))

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- p + move."""
        p.add_(move)


def _kept(size: Field | float, decay: float) -> Field | float:
    """1 - size decay."""
    return size.mul(-decay).add(1.0) if isinstance(size, Bundle) else 1 - size * decay


def _check(decay: float) -> None:
    if not isinstance(decay, (int, float)) or not decay >= 0.0:
        raise ValueError(f"Invalid weight_decay value: {decay}")
