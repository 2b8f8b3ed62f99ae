"""Combines around other ones: averages, slow weights, outer scales."""

from __future__ import annotations

from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from ..core.part import Combine


class AroundCombine(Combine):
    """A combine around another, `combine`: all that comes before the move is the inner one's."""

    combine: Combine

    def held(self, p: Tensor) -> dict[str, Tensor]:
        """What the combine remembers."""
        return {f"combine.{name}": x for name, x in self.combine.memory(p).items()}

    def misfit(self, p: Tensor) -> str | None:
        """The combine's."""
        return self.combine.misfit(p)

    def gradient(self, g: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """The combine's."""
        return self.combine.gradient(g, p, mem.within("combine"), t)

    def fade(self, p: Field, lr: float | Tensor, mem: Memory, t: Tensor) -> None:
        """The combine's."""
        self.combine.fade(p, lr, mem.within("combine"), t)


def fades(combine: Combine) -> bool:
    """Whether decay goes by the group's lr."""
    return type(combine).fade is not Combine.fade
