"""Selectors that do not look: always the same candidate, or a recorded path."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Selector
from ..core.memory import Memory
from .option import check, one_hot


@final
@dataclass(frozen=True)
class Fixed(Selector):
    """The first candidate, always: the identity of the slot. Nothing is measured.

    >>> Fixed().measures
    False
    """

    measures: ClassVar[bool] = False
    scope: str = "global"
    score: str = "same"
    power: str = "exact"

    def __post_init__(self) -> None:
        check(self)

    def decisions(self, k: int) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def choose(self, alignment: Tensor, power: Tensor, mem: Memory) -> Tensor:
        """One-hot on the first."""
        return torch.nn.functional.one_hot(
            torch.zeros_like(alignment[:, 0], dtype=torch.long), alignment.shape[1]
        ).double()


@final
@dataclass(frozen=True)
class Replay(Selector):
    """A recorded path, open loop: choices[n] at step n, the last one for ever. The control: does looking help?

    choices: indices into the bank in increasing order of momentum. Memory per scope: `turn`.

    >>> Replay((0, 2)).choose(torch.zeros(1, 3), torch.zeros(1, 3, 3), Memory({"turn": torch.ones(1)})).tolist()
    [[0.0, 0.0, 1.0]]
    """

    choices: tuple[int, ...]
    scope: str = "global"
    score: str = "same"
    power: str = "exact"

    def __post_init__(self) -> None:
        check(self)
        if not self.choices or not all(isinstance(c, int) for c in self.choices):
            raise ValueError(
                "Replay needs a path of at least one choice, such as the indices recorded from another run, "
                f"but got {self.choices!r}."
            )

    def decisions(self, k: int) -> dict[str, Tensor]:
        """The number of choices already played."""
        if not all(0 <= c < k for c in self.choices):
            raise ValueError(f"Replay's path names candidates outside 0..{k - 1}: it was recorded from another bank.")
        return {"turn": torch.zeros((), dtype=torch.float64)}

    def choose(self, alignment: Tensor, power: Tensor, mem: Memory) -> Tensor:
        """One-hot on the next choice of the path."""
        path = _on(alignment.device, self.choices)
        now = mem.turn.long().clamp(max=len(self.choices) - 1)
        mem.turn.add_(1)
        return one_hot(alignment.shape[1], alignment.device)[path[now]]


@lru_cache(maxsize=64)
def _on(device: torch.device, choices: tuple[int, ...]) -> Tensor:
    return torch.tensor(choices, device=device)
