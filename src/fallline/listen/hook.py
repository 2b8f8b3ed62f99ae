"""Hook: the moments before and after an optimizer's step, whichever optimizer it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

Told = Callable[[Optimizer], Any]


def hooked(mine: Callable[[Optimizer], bool], before: Told, fresh: Told, after: Told) -> ExitStack:
    """Until the stack is closed, every step of an optimizer that is `mine` tells of itself.

    before: as the step begins. fresh: as soon as its gradients are there, which is then, or once a closure has made
    them (its first call). after: when it is done. torch calls the hooks of all optimizers.
    """

    begun: set[int] = set()

    def enter(opt: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        begun.discard(id(opt))  # of a step that failed
        if not mine(opt):
            return None
        begun.add(id(opt))
        before(opt)
        if "closure" in kwargs and callable(kwargs["closure"]):
            return args, kwargs | {"closure": told(kwargs["closure"], opt)}
        if len(args) > 1 and callable(args[1]):
            return (args[0], told(args[1], opt), *args[2:]), kwargs
        fresh(opt)
        return None

    def told(closure: Callable[..., Any], opt: Optimizer) -> Callable[..., Any]:
        waiting = [True]

        @wraps(closure)
        def call(*given: Any, **named: Any) -> Any:
            loss = closure(*given, **named)
            if waiting:
                waiting.clear()
                fresh(opt)
            return loss

        return call

    def leave(opt: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if id(opt) in begun:
            begun.discard(id(opt))
            after(opt)

    stack = ExitStack()
    stack.callback(register_optimizer_step_pre_hook(enter).remove)
    stack.callback(register_optimizer_step_post_hook(leave).remove)
    return stack
