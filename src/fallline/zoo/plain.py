"""Plain: optimizers whose one rule follows from a group's numbers, and what all of them take by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor

from ..combines import Coupled, Decoupled
from ..core.descent import Descent
from ..core.part import Combine
from ..core.write import Write
from .choice import refuse_in_group
from .precision import precision

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class Engine(TypedDict, total=False):
    """What they take by keyword beside their own numbers: options of `Descent`, and how results are rounded."""

    maximize: bool
    foreach: bool | None
    fused: bool | None
    write: str | Write | None
    state_dtype: torch.dtype
    delay: int
    on_nonfinite: str
    chunk_bytes: int | None


class Plain(Descent):
    """An optimizer with one rule for all parameters. numbers: what every group has and may override."""

    def __init__(self, params: Any, lr: float | Tensor, numbers: Group, **engine: Unpack[Engine]) -> None:
        self.precision = precision(engine.pop("write", None), engine.pop("state_dtype", torch.float32))
        options: dict[str, Any] = dict(engine)
        super().__init__(params, lr=lr, defaults=numbers, **options)

    def prepare(self, group: Group) -> Group:
        """A group without what belongs to the whole optimizer."""
        refuse_in_group(self, group)
        return group

    def decay(self, group: Group) -> Combine:
        """Decay beside the step if the group says so, or where it does not say."""
        kind = Decoupled if group.get("decoupled_weight_decay", True) else Coupled
        return kind(group["weight_decay"])
