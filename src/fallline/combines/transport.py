"""Implicit gradient transport: gradients are taken further along the last step, so that old ones are not stale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Combine
from .around import AroundCombine, fades
from .decay import Decoupled

PLAIN = Decoupled()


@final
@dataclass(frozen=True)
class Transport(AroundCombine):
    """The live weights y lie ahead of the weights x that are trained.

        y_n = x_n + b / (1 - b) (x_n - x_{n-1}),      x_{n+1} = combine(x_n, -step d_n)

    with the gradient at y, and b the decay of a filter m <- b m + (1 - b) g that starts at the first gradient. Where
    the gradient is linear in the weights, m is the gradient at x exactly. `opt.eval()` lays x into the parameters,
    `opt.train()` brings y back. combine: how x moves; one without memory. b in [0, 1). Memory: `x`, like the parameter.
    Reference: arXiv 1906.03532; LMO-IGT, arXiv 2605.05577 (its listing was not read).

    >>> import torch
    >>> y = torch.zeros(1); mem = Memory(Transport(0.5).memory(y))
    >>> Transport(0.5).enter(y, torch.ones(1), 0.1, mem, torch.tensor(1.0)); y, mem.x
    (tensor([2.]), tensor([1.]))
    """

    beta: float = 0.9
    combine: Combine = PLAIN
    ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.beta, (int, float)) and 0.0 <= self.beta < 1.0):
            raise ValueError(f"Invalid beta: {self.beta!r}; a decay factor lies in [0, 1).")
        if type(self.combine).memory is not Combine.memory or self.combine.matrix or fades(self.combine):
            raise ValueError(
                f"Transport cannot move weights by {self.combine}: it is for combines without memory whose decay goes "
                "by the step, such as Decoupled()."
            )

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The weights that are trained."""
        return {"x": p.detach().clone()}

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """x <- combine(x, move), y <- x + b / (1 - b) (the step of x)."""
        old = mem.x.mul(1.0)
        self.combine.enter(mem.x, move, size, mem, t)
        p.copy_(mem.x + (mem.x - old).mul(self.beta / (1 - self.beta)))

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """x."""
        return mem.x
