"""Attach: ears for every model whose optimizer steps, where nobody says which models there are."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import Optimizer

from .ear import Ear
from .home import Homes, fresh
from .hook import hooked

MOST = 8  # models that are heard
YOUNG = 1  # steps of an ear that a second optimizer of the same model may still begin anew


@final
class Attached:
    """What `attached()` gives: `ears` by the names of their models, and `notes` about what could not be heard.

    An optimizer is met at its first step, and with it the smallest module that holds its parameters: there is an ear
    for each. Two optimizers that step on the gradients of one backward share an ear on what holds both; a generator
    and its critic do not, nor do models that no module holds together. Parameters of no module have numbers for names,
    or those of the optimizer's `param_names`. What goes wrong here is noted, and never reaches the program.
    """

    def __init__(self, every: int = 1, window: int = 64, batch: float | None = None, steps: int | None = None) -> None:
        Ear(torch.nn.LayerNorm(1), every, window, batch)  # what is wrong is said now; no random numbers are drawn
        self.every, self.window, self.batch, self.steps = every, window, batch, steps
        self.ears: dict[str, Ear] = {}
        self.notes: list[str] = []
        self._of: weakref.WeakKeyDictionary[Optimizer, Ear | None] = weakref.WeakKeyDictionary()
        self._waiting: dict[Ear, dict[int, weakref.ref[Tensor]]] = {}  # gradients that others may step on
        self._stack: ExitStack | None = None

    def __enter__(self) -> Attached:
        if self._stack is None:
            self._stack = hooked(self._mine, self._begin, self._fresh, self._end)
        return self

    def __exit__(self, *error: object) -> None:
        if self._stack is not None:
            self._stack.close()
            self._stack = None

    def __iter__(self) -> Iterator[Ear]:
        return iter(self.ears.values())

    # --- a step: what an ear's own hooks would do -------------------------------------------------------------------

    def _mine(self, opt: Optimizer) -> bool:
        if opt not in self._of:
            self._of[opt] = None  # whatever happens now, it is asked once
            try:
                if self._meet(opt):
                    return False
            except Exception as error:  # a program must not fail because somebody listens
                self._note(f"An optimizer ({type(opt).__name__}) is not heard: {error}")
        ear = self._of[opt]
        return ear is not None and (self.steps is None or ear.steps < self.steps) and ear._holds(opt)

    def _begin(self, opt: Optimizer) -> None:
        self._safely(opt, Ear._begin)

    def _fresh(self, opt: Optimizer) -> None:
        self._safely(opt, Ear._fresh)

    def _end(self, opt: Optimizer) -> None:
        self._safely(opt, Ear._end)

    def _safely(self, opt: Optimizer, act: Callable[[Ear, Optimizer], Any]) -> None:
        ear = self._of.get(opt)
        if ear is None:
            return
        try:
            act(ear, opt)
        except Exception as error:
            self._note(f"{self._name(ear)} is heard no more after {ear.steps} steps: {type(error).__name__}: {error}")
            self._of.update({one: None for one, its in self._of.items() if its is ear})

    # --- the first step of an optimizer -----------------------------------------------------------------------------

    def _meet(self, opt: Optimizer) -> bool:
        """Find its ear. True where that begins anew with the next step, since half of this one is over."""
        params, names = _held(opt)
        known = next((ear for ear in self.ears.values() if _covers(ear, params)), None)
        if known is not None or not params:
            self._of[opt] = known
            return False
        homes = Homes()
        together = next((ear for ear in self.ears.values() if self._shares(ear, params)), None)
        if together is not None and self._join(opt, together, params, homes):
            return True
        if len(self.ears) >= MOST:
            self._note(f"More than {MOST} models were trained; those after the first {MOST} were not heard.")
            return False
        module = homes.smallest(params)
        name = type(module).__name__
        if module is None:
            module, name = homes.cover(params, names)
        self._of[opt] = ear = self._ear(module, name)
        around = ((p, p.grad) for p in homes.around(module))
        self._waiting = {ear: {id(p): weakref.ref(grad) for p, grad in around if grad is not None}, **self._waiting}
        return False

    def _ear(self, module: torch.nn.Module, name: str) -> Ear:
        ear = Ear(module, self.every, self.window, self.batch)
        self.ears[fresh(name, self.ears)] = ear
        return ear

    def _shares(self, ear: Ear, params: list[Tensor]) -> bool:
        """Whether these gradients were there already when the ear's first optimizer stepped."""
        waiting = self._waiting.get(ear, {})
        grads = [(p, p.grad) for p in params if p.grad is not None]
        same = [id(p) in waiting and waiting[id(p)]() is grad for p, grad in grads]
        return ear.steps <= YOUNG and bool(same) and all(same)

    def _join(self, opt: Optimizer, ear: Ear, params: list[Tensor], homes: Homes) -> bool:
        """One ear for both, on what holds both."""
        others = [s.p for s in ear.desk.spots if s.p is not None]
        module = homes.smallest([*others, *(p for p in params if id(p) not in ear.desk.index)])
        if module is None:
            return False
        del self.ears[self._name(ear)]
        joint = self._ear(module, type(module).__name__)
        self._of.update({one: joint for one, its in self._of.items() if its is ear})
        self._of[opt] = joint
        self._waiting[joint] = self._waiting.pop(ear)
        return True

    def _name(self, ear: Ear) -> str:
        return next(name for name, one in self.ears.items() if one is ear)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def attached(every: int = 1, window: int = 64, batch: float | None = None, steps: int | None = None) -> Attached:
    """Hear whatever is trained while the `with` lasts, with an ear for each model; steps: how many at most.

    >>> net = torch.nn.Linear(3, 2)
    >>> opt = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> with attached(window=4) as here:
    ...     for _ in range(20):
    ...         net(torch.ones(1, 3)).square().sum().backward()
    ...         _ = opt.step()
    >>> {name: ear.steps for name, ear in here.ears.items()}
    {'Linear': 20}
    """
    return Attached(every, window, batch, steps)


def _held(opt: Optimizer) -> tuple[list[Tensor], list[str]]:
    """What an optimizer trains, each once, and its names for them."""
    found: dict[int, tuple[Tensor, str]] = {}
    for group in opt.param_groups:
        names = group.get("param_names") or [""] * len(group["params"])
        for p, name in zip(group["params"], names, strict=True):
            if p.requires_grad and p.numel():
                found.setdefault(id(p), (p, name or str(len(found))))
    return [p for p, _ in found.values()], [name for _, name in found.values()]


def _covers(ear: Ear, params: list[Tensor]) -> bool:
    at = [ear.desk.index.get(id(p), -1) for p in params]
    return all(i >= 0 and ear.desk.spots[i].p is p for i, p in zip(at, params, strict=True))
