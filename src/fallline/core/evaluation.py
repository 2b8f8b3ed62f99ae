"""Evaluation: the weights that are trained, laid into the parameters where gradients are taken at others."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .border import dtensor, near
from .field import tensors_of
from .memory import real
from .plan import WHOLE, make_plan

LIVE = "live"  # in a state dict, beside what parts remember


class Evaluation:
    """Whether the parameters hold what is to be evaluated, and what they held before."""

    def __init__(self) -> None:
        self.live: list[tuple[Tensor, Tensor, Tensor]] | None = None  # owner, its numbers, their copy; None: training
        self.follows = False  # the mode of a model

    @torch.no_grad()
    def begin(self, opt: Any) -> None:
        """Put the live weights aside, and the trained ones into the parameters, rounded to the nearest."""
        sections = [section for section in opt._sections() if section.rule.combine.ahead]
        if self.live is not None or not sections:
            return
        opt._allocate(sections)
        self.live = []
        for chunk in make_plan(opt.param_groups, sections, opt.state, WHOLE, everyone=True).chunks:
            trained = chunk.rule.settled(chunk.p, chunk.mem, chunk.t)
            for owner, p, x in zip(chunk.owners, tensors_of(chunk.p), tensors_of(trained), strict=True):
                self.live.append((owner, p, p.clone()))
                p.copy_(x)
        opt._plan = None

    @torch.no_grad()
    def end(self) -> None:
        """Bring the live weights back."""
        for _, p, x in self.live or ():
            p.copy_(x)
        self.live = None

    def saved(self, told: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
        """A state dict with the live weights, where the model's holds others: who loads both is in evaluation then."""
        if not self.live:
            return told
        if any(map(dtensor, (owner for owner, *_ in self.live))):
            self.refuse("A checkpoint of sharded weights cannot be taken")
        held = {id(owner): x for owner, _, x in self.live}
        params = [p for group in groups for p in group["params"]]
        live = {i: {LIVE: held[id(p)]} for i, p in enumerate(params) if id(p) in held}
        return told | {"state": {i: {**state, **live.get(i, {})} for i, state in told["state"].items()}}

    def restore(self, state: Any) -> None:
        """Go on as it was saved: the parameters, wherever they come from, hold the weights to evaluate."""
        found = [(p, entry.pop(LIVE)) for p, entry in state.items() if LIVE in entry]
        self.live = [(p, real(near(p.detach())), x) for p, x in found] or None

    def follow(self, opt: Any, model: nn.Module) -> Any:
        """Before each forward pass, begin or end as the model's mode says."""
        one = weakref.ref(opt)

        def switch(module: nn.Module, _: Any) -> None:
            if found := one():
                (found.train if module.training else found.eval)()

        self.follows = True
        return model.register_forward_pre_hook(switch)

    def refuse(self, what: str) -> None:
        """Raise while the parameters hold other weights than those that gradients are taken at, unless they follow."""
        if self.live and self.follows:
            self.end()
        if self.live:
            raise RuntimeError(
                f"{what} while the parameters hold the weights to evaluate. Call opt.train() first, which brings back "
                "those that gradients are taken at."
            )


class Evaluated:
    """What an optimizer offers to those who evaluate."""

    _evaluation: Evaluation

    def eval(self) -> None:
        """Lay the trained weights into the parameters, for rules that take gradients elsewhere; others do nothing."""
        self._evaluation.begin(self)

    def train(self) -> None:
        """Undo `eval`: step, state_dict and load_state_dict are for training."""
        self._evaluation.end()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """`with opt.averaged():` between `eval` and `train`; within a stretch of evaluation it changes nothing.

        >>> from fallline import SGD
        >>> opt = SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)
        >>> with opt.averaged():
        ...     pass  # validate, torch.optim.swa_utils.update_bn(loader, model), save the model
        """
        began = self._evaluation.live is None
        self.eval()
        try:
            yield
        finally:
            if began:
                self.train()

    def follow(self, model: nn.Module) -> Any:
        """Let the weights follow the model's mode, so that nobody evaluates the wrong ones.

        Before each forward pass, `eval` if the model is in evaluation and `train` if it trains; step, state_dict and
        load_state_dict call `train` then themselves. Returns a handle whose remove() ends it.
        """
        return self._evaluation.follow(self, model)
