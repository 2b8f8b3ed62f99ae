"""Owner: a momentum that chooses itself has one, and whoever else writes it is told so, by name if it can be known."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import torch

from .dial import shown_momentum, word_of_choice
from .error import OwnershipError

if TYPE_CHECKING:
    from .descent import Descent

Group = dict[str, Any]


def check_owner(opt: Descent) -> None:
    """A momentum that is not the one we wrote last has another owner, such as OneCycleLR with cycle_momentum."""
    for i, group in enumerate(opt.param_groups):
        for word in ("momentum", "betas", "rest_betas"):
            ours = group.get(word_of_choice(group, word))
            shown = shown_momentum(group, word) if word in group else None
            if ours is not None and shown is not None and shown != ours:
                raise OwnershipError(_foreign(i, group, shown, ours, cyclers(opt)))


def _foreign(number: int, group: Group, shown: Any, ours: float, writers: list[str]) -> str:
    """What was written, by whom, and the ways out."""
    bank = group.get("candidates") or group.get("rest_candidates")
    who = " and ".join(writers) or "Something else"
    advice = f"Pass cycle_momentum=False to {who}, which then schedules" if writers else "Let it write"
    return (
        f"{who} wrote {shown} as the momentum of group {number}, but that is chosen from {bank}, "
        f"last {ours}, and can have one owner. {advice} the learning rate only, or give one number as "
        "momentum here."
    )


def cyclers(opt: Descent) -> list[str]:
    """The classes of the schedulers that cycle this optimizer's momentum; torch keeps no list, so all objects are seen.

    Asked only when something has gone wrong: it takes a tenth of a second.
    """
    kind = torch.optim.lr_scheduler.LRScheduler
    found = [x for x in gc.get_objects() if issubclass(type(x), kind) and getattr(x, "optimizer", None) is opt]
    return sorted({type(x).__name__ for x in found if getattr(x, "cycle_momentum", False)})
