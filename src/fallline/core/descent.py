"""Descent: the only torch.optim.Optimizer of Fallline. It knows the order of things, and no maths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

from .checkpoint import FORMAT, assemble, carry, check_shapes, forget, form, loading, wanted_form
from .composed import Composed
from .dial import refresh, show_first
from .echo import Echo, capturing
from .evaluation import Evaluated, Evaluation
from .guard import Guard, check_lr, check_route, check_write
from .kernel import routes
from .line import line
from .owner import check_owner
from .phase import phase
from .plan import WHOLE, Plan, make_plan
from .report import report
from .rule import Rule
from .section import Section, check_view, owned, recipe, sentence
from .survey import survey
from .walk import check_turns, take, walks

Group = dict[str, Any]


class Descent(Evaluated, torch.optim.Optimizer):
    """Moves parameters by a rule, and lets the rule's parts choose their own coefficients on the way.

        gather -> remember -> [ measure -> decide ] -> apply

    rule: a `Rule`, or nothing in a subclass that builds it from a group's numbers in `sentence(group)`.
    lr: learning rate, a number or a 1-element tensor; its unit is that of the rule's step.
    defaults: further numbers that every group has and may override.
    maximize: climb instead. foreach: False for one tensor at a time, True for bundles of them, bit for bit the same.
    fused: None for a kernel where there is one (equal to rounding), True to demand it, False to go without.
    delay: 0, decisions act in the step that measured them (the paper's order); 1, in the next one, in one pass over
    memory.
    on_nonfinite: "skip" (nothing moves, counted, told once, the tenth in a row raises), "raise", or "ignore".
    chunk_bytes: how many bytes of parameters walk together; None: 256 KiB on a CPU, 256 MiB on an accelerator.

    Errors: torch.optim's own for malformed parameters; ValueError for numbers out of range; SlotError, NonFiniteError,
    OwnershipError, CheckpointError say what to do.

    >>> from fallline import EMA, SecondMoment, Constant, Decoupled, Rule
    >>> w = torch.nn.Parameter(torch.ones(3))
    >>> opt = Descent([w], Rule(EMA(0.9), SecondMoment(0.999), Constant(), Decoupled(0.0)), lr=0.1)
    >>> w.square().sum().backward(); opt.step(); w.data
    tensor([0.9000, 0.9000, 0.9000])
    """

    _plan: Plan | None
    _echo: Echo
    _composed: Composed
    _routes: dict[int, str]

    def __init__(
        self,
        params: Any,
        rule: Rule | None = None,
        lr: float | Tensor = 1e-3,
        *,
        defaults: Group | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        delay: int = 0,
        on_nonfinite: str = "skip",
        chunk_bytes: int | None = None,
    ) -> None:
        if delay not in (0, 1):
            raise ValueError(f"Invalid delay: {delay!r}; decisions act in the same step (0) or in the next one (1).")
        if not (chunk_bytes is None or isinstance(chunk_bytes, int)) or (chunk_bytes or 0) < 0:
            raise ValueError(f"Invalid chunk_bytes: {chunk_bytes!r}; give a number of bytes, or None.")
        self.rule, self.delay, self.chunk_bytes, self.on_nonfinite = rule, delay, chunk_bytes, on_nonfinite
        self._guard, self._echo, self._plan, self._composed = Guard(on_nonfinite), Echo(), None, Composed()
        self._routes, self._evaluation = {}, Evaluation()
        check_lr(lr)
        check_route(foreach, fused)
        routes = {"foreach": foreach, "fused": fused}
        common = {"lr": lr, "maximize": maximize, **routes, "skipped": 0, "skipped_in_a_row": 0}
        super().__init__(params, {**common, **(defaults or {})})
        check_write(self._sections())

    def sentence(self, group: Group) -> Rule:
        """The rule of a group, from the group's numbers."""
        if isinstance(self.rule, Rule):
            return self.rule
        raise TypeError(f"Descent needs a Rule, but got {self.rule!r}; for example Rule(EMA(), SecondMoment(), ...).")

    @_disable_dynamo  # torch.compile(opt.step) runs it as it is: it has kernels of its own
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None, *, loss: Any = None) -> Any:
        """One step. closure: evaluates the model again in grad mode; the loss it returns is handed back as it is.

        loss: for rules that read it, where there is no closure. Rules that need several gradients in a step call the
        closure for each, all of one batch, and hand back the first loss. What a gradient that is not finite, or an
        exception, has cut short is finished by the next call.
        """
        self._evaluation.refuse("No step can be taken")
        told = []
        for _ in range(walks(self._sections(), self.state, closure, self.delay, type(self).__name__)):
            with torch.enable_grad():
                told.append(closure() if closure else None)
            if not self._walk(told[-1] if closure else loss):
                break  # the rest of the step is taken when the next one is asked for
        return told[0]

    def _walk(self, loss: Any) -> bool:
        self._echo.listen()
        check_owner(self)
        with phase("plan"):
            plan = self._current_plan()
        try:
            return take(plan, self.param_groups, self._guard, self._echo, loss, type(self).__name__)
        finally:
            plan.release()

    def _current_plan(self) -> Plan:
        """The plan of the last step, unless a gradient, a rule, a parameter's storage or its state changed."""
        sections, late = self._sections(), self.delay == 1
        found, plan = survey(self.param_groups), self._plan
        if plan is None or plan.sections != sections or plan.late != late or not plan.ground.holds(found, self.state):
            self._guard.refuse(sections, self.param_groups, type(self).__name__)
            self._allocate(sections)
            check_turns(sections, self.state, type(self).__name__)
            self._plan = plan = make_plan(self.param_groups, sections, self.state, self.chunk_bytes, late)
            found = survey(self.param_groups)
        plan.gather(found)
        if any(capturing(chunk.clock.device) for chunk in plan.chunks[:1]):
            self._echo.captured.append(plan)
        return plan

    def sections(self, group: Group) -> list[Section]:
        """Which rule each parameter of a group obeys; the same for all where `sentence` speaks for the whole group."""
        return [Section(group, self.sentence(group))]

    def _sections(self) -> list[Section]:
        """The sections of all groups."""
        return self._composed.sections(self, self.sections)

    def _allocate(self, sections: list[Section]) -> None:
        """State for every trainable parameter, also those without a gradient: distributed checkpoints want it so.

        Where the rule has changed, the slots that it left alone keep what they remember.
        """
        forget(self.state, self.param_groups)
        for p, rule in owned(sections):
            if p.requires_grad and form(self.state[p]) != wanted_form(rule, p.dtype):
                self.state[p] = carry(rule, p, self.state[p])
            check_shapes(rule, p, self.state)

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters; what the group does not give comes from the defaults. After an error nothing is added."""
        super().add_param_group(self.prepare(dict(param_group)))
        group = self.param_groups[-1]
        try:
            check_lr(group["lr"])
            check_route(group["foreach"], group["fused"])
            sections = self.sections(group)
            for section in sections:
                check_view(section, type(self).__name__)
                for dtype in {p.dtype for p in section.params if p.requires_grad}:
                    wanted_form(section.rule, dtype)
            group.update(format=FORMAT, recipe=recipe(sections))
            show_first(group, sections)
        except BaseException:
            self.param_groups.pop()
            raise
        self._plan = None

    def prepare(self, group: Group) -> Group:
        """A new group's numbers as the optimizer keeps them; zoo classes split candidates from the momentum shown."""
        return group

    @torch.no_grad()
    def state_dict(self) -> dict[str, Any]:
        """torch's state dict: flat keys `step` and `slot.name`; in evaluation also `live`. Tensors and numbers only."""
        self._guard.catch_up(self.param_groups, self._echo)
        self._evaluation.sync(self)
        sections = self._sections()
        self._allocate(sections)
        assemble(sections, self.state)
        for group in self.param_groups:
            group["recipe"] = recipe(section for section in sections if section.group is group)
        ahead = any(section.rule.combine.ahead for section in sections)
        return self._evaluation.saved(super().state_dict(), self.param_groups, ahead)

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` gave, in the dtypes in which it was saved; no tensor is shared with the source."""
        with loading(self):
            super().load_state_dict(state_dict)
        self._evaluation.restore(self)

    def __getstate__(self) -> dict[str, Any]:
        self._evaluation.refuse("The optimizer cannot be copied")
        ours = {name: value for name, value in self.__dict__.items() if not name.startswith("_") or name == "_guard"}
        ours.pop("step", None)  # schedulers wrap it, and the wrapper belongs to this very object
        return {**ours, **super().__getstate__()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.defaults.pop("differentiable", None)  # torch adds it, and later groups would have what earlier ones lack
        for group in self.param_groups:
            for name in self.defaults:
                group.setdefault(name, self.defaults[name])  # checkpoints of an older version lack newer options
        self._echo, self._plan, self._composed, self._routes = Echo(), None, Composed(), {}
        self._evaluation = Evaluation()

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{sentence(self.param_groups, self._sections())}"

    def report(self) -> dict[str, Any]:
        """What was chosen and why, as plain data. Waits for the device; the next step plans anew.

        optimizer, rule (the sentence), step, skipped (non-finite steps), state_bytes, state_bytes_by_part (by slot;
        step: the clocks), and for each of `groups`: lr, momentum, effective_lr, route (it walked in torch's kernel,
        "fused", a printed one, "native" or "triton", or as "readable"); of one that chooses also candidates, scope,
        weights, the pay of each candidate, samples (steps it was measured in), and of a greedy one runner_up (the best
        of the others), margin (over it, as a share of the largest pay), evidence ("none"; "little" before ten samples;
        "too close to call" within 1 %; "some"; "decided", hardly luck), lead (steps in a row of a challenger),
        switches, chosen (how often each). With scope "parameter" all this is told for each, under `parameters`.
        """
        self._guard.catch_up(self.param_groups, self._echo)
        sections = self._sections()
        self._allocate(sections)
        chunks = make_plan(self.param_groups, sections, self.state, WHOLE, everyone=True).chunks
        refresh(chunks, self._echo)
        self._routes = routes(self.param_groups, self._plan.chunks) if self._plan else self._routes
        self._plan = None  # the next step makes its own, of the parameters that have a gradient
        return report(self, sections, chunks, self._routes)

    def line(self) -> str:
        """One line for a progress bar, `bar.set_postfix_str(opt.line())`; waits for no device that lr does not lie on.

        >>> from fallline import SGD
        >>> SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1, momentum=0.9).line()
        'lr 0.1, momentum 0.9'
        """
        return line(self.param_groups)

    def state_bytes(self) -> int:
        """Bytes that the optimizer remembers."""
        return int(self.report()["state_bytes"])
