"""Optimizers that take several gradients in a step, or know the loss, and what they take by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from .walking import Common, Driven

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class Twofold(Driven):
    """An optimizer of one sentence, with the groups' own numbers in it."""

    def __init__(self, params: Any, lr: float | Tensor, numbers: Group, **how: Unpack[Common]) -> None:
        super().__init__(params, lr, numbers, **how)
