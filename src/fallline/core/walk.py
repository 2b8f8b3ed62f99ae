"""Walk: one step in its order, alone or together with the processes that hold the rest of the parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .accord import Told, add_up, pooled
from .chunk import Fit
from .echo import Echo
from .guard import Guard, Look
from .memory import kept_unless
from .phase import phase
from .plan import Plan
from .report import show_choices


def take(plan: Plan, groups: list[dict[str, Any]], guard: Guard, echo: Echo) -> None:
    """Look, remember, measure, decide, apply; nothing moves where the step is not fit."""
    with phase("check"):
        look = guard.look(plan, groups)
    fit = _together(plan, guard, echo, look) if look and plan.joint else _alone(plan, guard, echo, look)
    if plan.dealt and fit is not False:
        torch.autograd.graph.increment_version(plan.dealt)  # they do not see what is written to their parts


def _alone(plan: Plan, guard: Guard, echo: Echo, look: Look | None) -> Fit:
    """First whether the step is fit, then all the rest."""
    flags = add_up(look.flags, plan.others) if look and plan.others else None
    fit = guard.judge(look, flags, echo) if look else bool(plan.chunks)
    if fit is not False:
        late = plan.late or not plan.measures
        with phase("remember and apply" if late else "remember"):
            told = {id(chunk): chunk.route.visit(fit, late or not chunk.measures) for chunk in plan.chunks}
        if late:
            _show(plan, echo)
        _decide(plan, fit, pooled(plan.scopes, told)[0])
        if not late:
            _apply(plan, fit, echo)
    return fit


def _together(plan: Plan, guard: Guard, echo: Echo, look: Look) -> Fit:
    """All scout before they know whether the step is fit, so that one all-reduce tells that and what was measured.

    A scout writes little, which is put back if it was not.
    """
    unknown = torch.zeros((), dtype=torch.bool, device=look.bad.device)
    with kept_unless(unknown, lambda: [x for chunk in plan.chunks for x in chunk.scouted()]):
        with phase("remember"):
            told: Told = {id(chunk): chunk.route.visit(True, False) for chunk in plan.chunks}
        measured, flags = pooled(plan.scopes, told, look.flags)
        unknown.copy_(look.fit(flags))
    fit = guard.judge(look, flags, echo)
    if fit is not False:
        _decide(plan, fit, measured)
        _apply(plan, fit, echo)
    return fit


def _decide(plan: Plan, fit: Fit, measured: list[Tensor]) -> None:
    for scope, rows in zip(plan.scopes, measured, strict=True):
        with phase("decide"), kept_unless(fit, scope.tensors):
            scope.decide(rows)


def _apply(plan: Plan, fit: Fit, echo: Echo) -> None:
    with phase("apply"):
        for chunk in plan.chunks:
            if chunk.measures:
                chunk.route.apply(fit)
    _show(plan, echo)


def _show(plan: Plan, echo: Echo) -> None:
    with phase("show"):
        show_choices(plan.dials, echo)
