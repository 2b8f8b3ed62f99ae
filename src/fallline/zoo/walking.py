"""What optimizers take by keyword that are one sentence for every parameter and choose no momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import torch

from ..core.descent import Descent
from ..core.write import Write
from .precision import precision

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Walking(TypedDict, total=False):
    """As in `Descent`; write and state_dtype as in `AdamW`."""

    maximize: bool
    foreach: bool | None
    write: str | Write | None
    state_dtype: torch.dtype
    delay: int
    on_nonfinite: str
    chunk_bytes: int | None


class Walker(Descent):
    """An optimizer of one sentence, with the groups' own numbers in it."""

    def __init__(self, params: Any, lr: float | torch.Tensor, numbers: dict[str, Any], **how: Unpack[Walking]) -> None:
        self.precision = precision(how.pop("write", None), how.pop("state_dtype", torch.float32))
        super().__init__(params, lr=lr, defaults=numbers, **how)  # type: ignore[misc]

    def prepare(self, group: dict[str, Any]) -> dict[str, Any]:
        """A group may not have what is the whole optimizer's."""
        if found := sorted(group.keys() & (Walking.__annotations__.keys() - {"maximize", "foreach"})):
            raise ValueError(
                f"{', '.join(found)}: these belong to the whole optimizer; pass them to {type(self).__name__}(...), "
                "not in a group."
            )
        return group
