"""The loss of a step, for parts that need to know it: one number that all processes agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .error import NonFiniteError
from .guard import idle
from .memory import kept_unless
from .section import Section

if TYPE_CHECKING:
    from .plan import Plan


def hears(sections: list[Section]) -> list[str]:
    """The parts that need the loss."""
    return [str(part) for s in sections for part in s.rule.choosers.values() if part.hears]


def heard(said: Any, sections: list[Section], name: str) -> Tensor | None:
    """The loss of this step, 0-d float64; None where nobody asks. Averaged over all processes, if there are several."""
    asking = hears(sections)
    if not asking:
        return None
    if said is None and idle(sections):
        return None
    if said is None:
        raise RuntimeError(
            f"{name} needs the loss of every step: {asking[0]} reads it. Call opt.step(closure) with a closure that "
            "returns the loss, or opt.step(loss=loss) after backward."
        )
    loss = torch.as_tensor(said, dtype=torch.float64).detach().mean()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        loss = loss.clone()  # the mean of one number is the number itself
        torch.distributed.all_reduce(loss)
        loss.div_(torch.distributed.get_world_size())
    if loss.device.type == "cpu" and not loss.isfinite():
        raise NonFiniteError(f"The loss is {float(loss)}, and {asking[0]} reads it. Nothing was changed.")
    return loss


def tell(plan: Plan, loss: Tensor | None, fit: bool | Tensor) -> None:
    """Lay the loss into the decisions of those who asked for it, as the loss that is to fall: where it is to be
    maximized, its negative, as gradients are."""
    for scope in plan.scopes:
        if scope.part.hears and loss is not None:
            held, signs = scope.held["loss"], {bool(chunk.group["maximize"]) for chunk in scope.chunks}
            if len(signs) > 1:
                raise ValueError(f"{scope.part} reads one loss, which cannot be maximized in some groups only.")
            with kept_unless(fit, lambda held=held: held):  # type: ignore[misc]
                for x in held:
                    x.copy_(loss.neg() if True in signs else loss)
