"""Walk: one step in its order, alone or together with the processes that hold the rest of the parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .accord import Told, add_up, compare, pooled
from .chunk import Fit
from .dial import show_choices
from .echo import Echo
from .guard import Guard, Look, idle
from .loss import heard, tell
from .memory import kept_unless
from .phase import phase
from .plan import Plan
from .section import Section


def take(plan: Plan, groups: list[dict[str, Any]], guard: Guard, echo: Echo, said: Any, name: str) -> bool:
    """Look, remember, measure, decide, apply; nothing moves where the step is not fit.

    said: the loss, for parts that hear it. False where the host knows that nothing moved.
    """
    loss = heard(said, plan.sections, name)
    with phase("check"):
        look = guard.look(plan, groups)
    fit = _together(plan, guard, echo, look) if look and plan.joint else _alone(plan, guard, echo, look, loss)
    if plan.dealt and fit is not False:
        torch.autograd.graph.increment_version(plan.dealt)  # they do not see what is written to their parts
    compare(plan.scopes, plan.chunks)
    return fit is not False


def walks(sections: list[Section], state: Any, closure: Any, delay: int, name: str) -> int:
    """How many ways through are left of a step: more than one for rules that ask for several gradients.

    Where the last step was cut short, as by a gradient that was not finite, what is left of it.
    """
    n = _walks(sections, name)
    if n == 1 or (closure is None and idle(sections)):
        return 1
    if closure is None:
        raise RuntimeError(f"{name} needs {n} gradients in every step. Call opt.step(closure), which computes them.")
    if delay:
        raise ValueError(f"{name} takes {n} gradients in a step, and what one decides is for it: delay must be 0.")
    return n - max(_turns(sections, state, n).values(), default=0)


def check_turns(sections: list[Section], state: Any, name: str) -> None:
    """Raise where some parameters have got another number of a step's gradients than the others."""
    n = _walks(sections, name)
    turns = _turns(sections, state, n) if n > 1 else {}
    turn = max(turns.values(), default=0)
    stray = [
        p for section in sections for p in section.trainable if turn and (turns[p] == turn) != (p.grad is not None)
    ]
    if stray:
        shapes = ", ".join(str(tuple(p.shape)) for p in stray[:3])
        raise RuntimeError(
            f"{name} takes {n} gradients in a step, and weights of shape {shapes} got some of them only. Let every "
            "call of the closure give the same parameters a gradient; zeros for those that take no part, as "
            "opt.zero_grad(set_to_none=False) leaves them."
        )


def _walks(sections: list[Section], name: str) -> int:
    found = {section.rule.combine.walks for section in sections if section.trainable} or {1}
    if len(found) > 1:
        raise ValueError(f"{name} has rules that need {' and '.join(map(str, sorted(found)))} gradients in a step.")
    return found.pop()


def _turns(sections: list[Section], state: Any, n: int) -> dict[Tensor, int]:
    """How many of a step's gradients each parameter has had so far. Waits for the device, once for each clock."""
    clocks = {p: state[p]["step"] for section in sections for p in section.trainable if state.get(p)}
    read = {id(clock): int(clock) % n for clock in {id(x): x for x in clocks.values()}.values()}
    return {p: read[id(clock)] for p, clock in clocks.items()}


def _alone(plan: Plan, guard: Guard, echo: Echo, look: Look | None, loss: Tensor | None) -> Fit:
    """First whether the step is fit, then all the rest."""
    with phase("check"):
        flags = add_up(look.flags, plan.others) if look and plan.others else None
        fit = guard.judge(look, flags, echo) if look else bool(plan.chunks)
    if fit is not False:
        tell(plan, loss, fit)
        late = plan.late or not plan.measures
        told = _remember(plan, fit, late)
        if late:
            _show(plan, echo)
        if plan.scopes:
            with phase("decide"):
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
        told = _remember(plan, True, False)
        with phase("decide"):
            measured, flags = pooled(plan.scopes, told, look.flags)
        unknown.copy_(look.fit(flags))
    fit = guard.judge(look, flags, echo)
    if fit is not False:
        with phase("decide"):
            _decide(plan, fit, measured)
        _apply(plan, fit, echo)
    return fit


def _remember(plan: Plan, fit: Fit, late: bool) -> Told:
    with phase("remember and apply" if late else "remember"):
        return {id(chunk): chunk.route.visit(fit, late or not chunk.measures) for chunk in plan.chunks}


def _decide(plan: Plan, fit: Fit, measured: list[Tensor]) -> None:
    for scope, rows in zip(plan.scopes, measured, strict=True):
        with kept_unless(fit, scope.tensors):
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
