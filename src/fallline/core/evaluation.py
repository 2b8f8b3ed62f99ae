"""Evaluation: the weights that are trained, laid into the parameters where gradients are taken at others."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo

from .block import blocks, make_chunk
from .border import dealt, dtensor, like, near
from .error import CheckpointError
from .field import tensors_of
from .memory import real

LIVE = "live"  # in a state dict, beside what parts remember
EVALUATED = "evaluated"  # in its groups, where it can be: whether they must have it


class Evaluation:
    """Whether the parameters hold what is to be evaluated, and what they held before."""

    def __init__(self) -> None:
        self.live: list[tuple[Tensor, Tensor]] | None = None  # owner and the numbers it had; None: training
        self.said = False  # by whoever called eval() or averaged(), and no model's mode overrules it
        self.leads: list[Follower] = []
        self._written: dict[int, int] = {}  # versions of the parameters as they were laid down, by id
        self._graded: dict[int, Any] = {}  # and of their gradients

    def begin(self, opt: Any) -> None:
        """Put the live weights aside, and the trained ones into the parameters, rounded to the nearest."""
        sections = [section for section in opt._sections() if section.rule.combine.ahead]
        if self.live is not None or not sections:
            return
        with torch.inference_mode(False), torch.no_grad():
            opt._allocate(sections)
            self.live, self._written, self._graded, opt._plan = [], {}, {}, None
            for section in sections:  # those that are frozen now have been trained, too
                held = [p for p in section.params if p.numel() and opt.state.get(p)]
                for block in blocks(held, section.rule, opt.state) if held else ():
                    self._lay(make_chunk(section.group, section.rule, block, opt.state))
        self._scatter()

    def _lay(self, chunk: Any) -> None:
        trained = tensors_of(chunk.rule.settled(chunk.p, chunk.mem, chunk.t))
        assert self.live is not None
        for owner, p, x in zip(chunk.owners, tensors_of(chunk.p), trained, strict=True):
            self.live.append((owner, p.clone()))
            p.copy_(x)
            self._written[id(owner)], self._graded[id(owner)] = p._version, _age(owner.grad)

    def end(self) -> None:
        """Bring the live weights back."""
        live, self.said, lost = self.live, False, False
        if live is None:
            return
        with torch.inference_mode(False), torch.no_grad():
            for owner, x in live:
                p = real(near(owner.detach()))
                lost = lost or (p._version != self._written.get(id(owner), p._version) and not dtensor(owner))
                p.copy_(x)
        self.live = None
        self._scatter()
        if lost:
            warnings.warn(
                "Somebody wrote to the parameters while they held the weights to evaluate, and that is lost: now they "
                "hold again those that gradients are taken at. Load a model before opt.eval(), or its optimizer too.",
                stacklevel=3,
            )

    def _scatter(self) -> None:
        """Let FSDP2 gather anew: after a forward pass it keeps what is the root's own together."""
        for lead in self.leads:
            for module in model.modules() if (model := lead.model()) is not None else ():
                if any(kind.__name__ == "FSDPModule" for kind in type(module).__mro__):
                    module.reshard()  # type: ignore[operator]

    def saved(self, told: dict[str, Any], groups: list[dict[str, Any]], ahead: bool) -> dict[str, Any]:
        """A state dict with the live weights, where the model's holds others: who loads both is in evaluation then."""
        if not ahead:
            return told
        held = {id(owner): like(owner, x) if dtensor(owner) else x for owner, x in self.live or ()}
        params = [p for group in groups for p in group["params"]]
        live = {i: {LIVE: held[id(p)]} for i, p in enumerate(params) if id(p) in held}
        state = {i: {**state, **live.get(i, {})} for i, state in told["state"].items()}
        return {"state": state, "param_groups": [group | {EVALUATED: bool(held)} for group in told["param_groups"]]}

    def restore(self, opt: Any) -> None:
        """Go on as it was saved: the parameters, wherever they come from, hold the weights to evaluate."""
        found = [(p, entry.pop(LIVE)) for p, entry in opt.state.items() if LIVE in entry]
        self.live = [(p, near(dealt(p, x) if dtensor(p) and not dtensor(x) else x)) for p, x in found] or None
        self.said, self._written, self._graded = False, {}, {}
        for group in opt.param_groups:
            group.pop(EVALUATED, None)

    def sync(self, opt: Any) -> None:
        """Begin or end as the models' modes say, unless somebody said something else."""
        models = [model for lead in self.leads if (model := lead.model()) is not None]
        if models and not (self.said and self.live is not None):
            (self.end if any(model.training for model in models) else lambda: self.begin(opt))()

    def refuse(self, what: str) -> None:
        """Raise while the parameters hold other weights than those that gradients are taken at, unless they follow."""
        if self.live and self.leads and not self.said:
            self._refuse_strange()
            self.end()
        if self.live:
            raise RuntimeError(
                f"{what} while the parameters hold the weights to evaluate. Call opt.train() first, which brings back "
                "those that gradients are taken at."
            )

    def _refuse_strange(self) -> None:
        """Raise where gradients came while the parameters held the weights to evaluate."""
        if any(_age(owner.grad) != self._graded.get(id(owner), _age(owner.grad)) for owner, _ in self.live or ()):
            raise RuntimeError(
                "No step can be taken: the gradients were computed while the model was in evaluation, so at the "
                "weights to evaluate. Call model.train() before the forward pass; what shall stay in evaluation, such "
                "as a frozen BatchNorm, may: the mode of the module that was given to opt.follow counts."
            )


def _age(g: Tensor | None) -> Any:
    return None if g is None else (id(g), g._version)


def check_whole(groups: list[dict[str, Any]], state: dict[int, Any]) -> None:
    """Raise where a checkpoint was taken in evaluation, and what gradients are taken at got lost on its way."""
    if any(group.get(EVALUATED) for group in groups) and not any(LIVE in entry for entry in state.values()):
        raise CheckpointError(
            "The checkpoint was saved in evaluation, but the weights that gradients are taken at are not in it: "
            "torch.distributed.checkpoint loads only what a fresh optimizer has. Call opt.train() before saving."
        )


class Follower:
    """What links an optimizer to a model's mode; remove() ends it. A copy of the model's is linked to nothing."""

    def __init__(self, opt: Any, model: nn.Module) -> None:
        self.opt, self.model = weakref.ref(opt), weakref.ref(model)
        # before FSDP's, which gather the weights; and what is saved is what is evaluated
        first = model.register_forward_pre_hook(self, prepend=True)
        self.handles = first, model.register_state_dict_pre_hook(self)

    @_disable_dynamo
    def __call__(self, module: nn.Module, *_: Any) -> None:
        """Before a forward pass, or before the model's state is taken."""
        if (opt := self.opt()) is not None and module is self.model():
            opt._evaluation.sync(opt)

    def remove(self) -> None:
        """Follow no longer; the parameters hold the weights that gradients are taken at."""
        for handle in self.handles:
            handle.remove()
        if (opt := self.opt()) is not None and self in opt._evaluation.leads:
            opt._evaluation.leads.remove(self)
            if not opt._evaluation.said:
                opt._evaluation.end()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unlinked, ()


def _unlinked() -> Follower:
    one = Follower.__new__(Follower)
    one.opt, one.model, one.handles = _nobody, _nobody, ()  # type: ignore[assignment]
    return one


def _nobody() -> None:
    return None


class Evaluated:
    """What an optimizer offers to those who evaluate."""

    _evaluation: Evaluation

    def eval(self) -> None:
        """Lay the trained weights into the parameters, for rules that take gradients elsewhere; others do nothing."""
        self._evaluation.begin(self)
        self._evaluation.said = True

    def train(self) -> None:
        """Undo `eval`: steps are for training."""
        self._evaluation.end()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """`with opt.averaged():` between `eval` and `train`; within a stretch of evaluation it changes nothing.

        >>> from fallline import SGD
        >>> opt = SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)
        >>> with opt.averaged():
        ...     pass  # validate, torch.optim.swa_utils.update_bn(loader, model), save the model
        """
        now = self._evaluation
        said, began = now.said, now.live is None
        try:
            self.eval()
            yield
        finally:
            if began:
                now.end()
            now.said = said

    def follow(self, model: nn.Module) -> Follower:
        """Let the weights follow the model's mode, so that nobody evaluates or saves the wrong ones.

        Before each forward pass and `model.state_dict()`: `eval` if the model is in evaluation, `train` if it trains;
        `step` and `state_dict` see to it as well. What `eval`, `train` and `averaged` are told goes before. Of several
        models one that trains is enough. Returns a handle whose remove() ends it.
        """
        self._evaluation.leads.append(Follower(self, model))
        return self._evaluation.leads[-1]
