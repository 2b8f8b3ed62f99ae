"""The loss of a step, for parts that need to know it: one number that all processes agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .border import near
from .guard import idle
from .memory import kept_unless
from .section import Section

if TYPE_CHECKING:
    from .plan import Plan, Scope


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
        loss = loss.to(_home(sections), copy=True)  # a number of the host's is nothing that devices can sum
        torch.distributed.all_reduce(loss)
        loss.div_(torch.distributed.get_world_size())
    return loss


def _home(sections: list[Section]) -> torch.device:
    return next(near(p).device for section in sections for p in section.params)


def tell(plan: Plan, loss: Tensor | None, fit: bool | Tensor) -> None:
    """Lay the loss into the decisions of those who asked for it, as the loss that is to fall: where it is to be
    maximized, its negative, as gradients are."""
    if loss is not None:
        _refuse_apart(plan.scopes)
    for scope in plan.scopes:
        if scope.part.hears and loss is not None:
            held, signs = scope.held["loss"], {bool(chunk.group["maximize"]) for chunk in scope.chunks}
            if len(signs) > 1:
                raise ValueError(f"{scope.part} reads one loss, which cannot be maximized in some groups only.")
            with kept_unless(fit, lambda held=held: held):  # type: ignore[misc]
                for x in held:
                    x.copy_(loss.neg() if True in signs else loss)


def _refuse_apart(scopes: list[Scope]) -> None:
    """Raise where parameters that decide apart would each go as far as the whole loss allows."""
    spending = [scope for scope in scopes if scope.part.hears and scope.part.spends]
    for scope in spending:
        apart = [other for other in spending if (other.slot, other.part) == (scope.slot, scope.part)]
        if len(apart) > 1:
            devices = sorted({str(other.chunks[0].clock.device) for other in apart})
            why = f"on {' and '.join(devices)}" if len(devices) > 1 else "with metrics of several kinds"
            raise ValueError(
                f"{scope.part} goes as far as the loss allows, but parameters {why} decide apart, so together they "
                "would go twice as far. Train all of them on one device and by metrics of one kind, or take a step "
                "that does not read the loss, such as Constant()."
            )
