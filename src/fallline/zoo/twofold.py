"""Optimizers that take several gradients in a step, or know the loss, and what they take by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor

from ..core.descent import Descent
from ..core.write import Write
from .precision import precision

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class Common(TypedDict, total=False):
    """As in `Descent`; write and state_dtype as in `AdamW`. No delay: what is decided is for this very step."""

    maximize: bool
    foreach: bool | None
    write: str | Write | None
    state_dtype: torch.dtype
    on_nonfinite: str
    chunk_bytes: int | None


class Twofold(Descent):
    """An optimizer of one sentence, with the groups' own numbers in it."""

    def __init__(self, params: Any, lr: float | Tensor, numbers: Group, **how: Unpack[Common]) -> None:
        self.precision = precision(how.pop("write", None), how.pop("state_dtype", torch.float32))
        super().__init__(params, lr=lr, defaults=numbers, **how)  # type: ignore[misc]
