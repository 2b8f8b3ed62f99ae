"""Optimizers of one sentence for every parameter whose step finds its own size, and what they take by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import torch

from ..combines import Coupled, Decoupled
from ..core.descent import Descent
from ..core.memory import wider
from ..core.part import Combine
from ..core.write import Write
from ..writes import Kahan, Nearest
from .precision import precision

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]


class Common(TypedDict, total=False):
    """As in `Descent`; write and state_dtype as in `AdamW`, but a `Walker` takes "kahan" where write is None."""

    maximize: bool
    foreach: bool | None
    write: str | Write | None
    state_dtype: torch.dtype
    on_nonfinite: str
    chunk_bytes: int | None


class Walking(Common, total=False):
    """For those of one gradient in a step, which kernels may take and decisions may lag behind."""

    fused: bool | None
    delay: int


OF_GROUPS = {"maximize", "foreach", "fused"}


class Walker(Descent):
    """An optimizer of one sentence, with the groups' own numbers in it.

    First steps are far below what bfloat16 can tell: rounded to the nearest, the weights would never leave their place,
    and no distance would ever grow. So narrow weights are written with Kahan's sum, two more bytes for each.
    """

    careful: ClassVar[bool] = True

    def __init__(self, params: Any, lr: float | torch.Tensor, numbers: Group, **how: Unpack[Walking]) -> None:
        write, self.state_dtype = how.pop("write", None), how.pop("state_dtype", torch.float32)
        self.write: Write | None = None if write is None else precision(write, self.state_dtype)["write"]
        super().__init__(params, lr=lr, defaults=numbers, **how)  # type: ignore[misc]

    def prepare(self, group: Group) -> Group:
        """A group may not have what is the whole optimizer's."""
        if found := sorted(group.keys() & (Walking.__annotations__.keys() - OF_GROUPS)):
            name = type(self).__name__
            raise ValueError(f"{', '.join(found)}: these belong to the whole optimizer; pass them to {name}(...).")
        return group

    def precision(self, group: Group) -> Group:
        """How results are rounded into the weights of a group, and in what they are computed."""
        narrow = any(wider(p.dtype.to_real(), self.state_dtype) != p.dtype.to_real() for p in group["params"])
        return {
            "write": self.write or (Kahan() if narrow and self.careful else Nearest()),
            "state_dtype": self.state_dtype,
        }

    def decay(self, group: dict[str, Any]) -> Combine:
        """Decay beside the step, unless the group wants it in the gradient."""
        return (Decoupled if group.get("decoupled_weight_decay", True) else Coupled)(group["weight_decay"])


class Driven(Walker):
    """One whose lr somebody sets: narrow weights are rounded to the nearest, as torch does."""

    careful: ClassVar[bool] = False
