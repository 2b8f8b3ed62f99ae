"""Descent: the only torch.optim.Optimizer of Fallline. It knows the order of things, and no maths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .echo import Echo
from .error import CheckpointError
from .guard import Guard
from .memory import kept_unless, restore
from .plan import Chunk, Plan, live, make_plan
from .report import report, sentence, show_choices
from .rule import Rule

Group = dict[str, Any]


class Descent(torch.optim.Optimizer):
    """Moves parameters by a rule, and lets the rule's parts choose their own coefficients on the way.

        gather -> remember -> [ measure -> decide ] -> apply

    rule: a `Rule`, or nothing in a subclass that builds it from a group's numbers in `sentence(group)`.
    lr: learning rate, a number or a 1-element tensor; its unit is that of the rule's step.
    defaults: further numbers that every group has and may override.
    maximize: climb instead. foreach=False: one tensor at a time (None and True: bundles of tensors, bit for bit the
    same).
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

    _plan: tuple[Any, Plan] | None  # with the key under which it holds
    _echo: Echo

    def __init__(
        self,
        params: Any,
        rule: Rule | None = None,
        lr: float | Tensor = 1e-3,
        *,
        defaults: Group | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
        delay: int = 0,
        on_nonfinite: str = "skip",
        chunk_bytes: int | None = None,
    ) -> None:
        if delay not in (0, 1):
            raise ValueError(f"Invalid delay: {delay!r}; decisions act in the same step (0) or in the next one (1).")
        self.rule, self.delay, self.chunk_bytes, self.on_nonfinite = rule, delay, chunk_bytes, on_nonfinite
        self._guard = Guard(on_nonfinite)
        self._forget()
        common = {"lr": lr, "maximize": maximize, "foreach": foreach, "skipped": 0, "skipped_in_a_row": 0}
        super().__init__(params, {**common, **(defaults or {})})

    def sentence(self, group: Group) -> Rule:
        """The rule of a group, from the group's numbers."""
        if not isinstance(self.rule, Rule):
            raise TypeError(
                f"Descent needs a Rule, but got {self.rule!r}; for example Rule(EMA(), SecondMoment(), ...)."
            )
        return self.rule

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step. closure: evaluates the model again in grad mode; the loss it returns is handed back as it is."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._echo.listen()
        self._guard.refuse(self.param_groups, type(self).__name__)
        plan = self._current_plan()
        fit = self._guard.check(plan.chunks, self.param_groups, self._echo)
        if fit is not False:
            self._walk(plan, fit)
            show_choices(self.param_groups, plan.chunks, self._echo)
        return loss

    def _walk(self, plan: Plan, fit: bool | Tensor) -> None:
        late = self.delay == 1 or not plan.measures
        told = {id(chunk): self._visit(chunk, fit, apply=late) for chunk in plan.chunks}
        for scope in plan.scopes:
            with kept_unless(fit, scope.tensors()):
                scope.decide(torch.cat([told[id(chunk)][scope.slot] for chunk in scope.chunks]))
        for chunk in [] if late else plan.chunks:
            with kept_unless(fit, chunk.tensors()):
                self._apply(chunk, chunk.gradient())

    def _visit(self, chunk: Chunk, fit: bool | Tensor, apply: bool) -> dict[str, Tensor]:
        with kept_unless(fit, chunk.tensors()):
            chunk.clock.add_(1)
            g = chunk.gradient()
            chunk.rule.remember(g, chunk.mem, chunk.t)
            told = chunk.rule.measure(g, chunk.mem, chunk.t)
            if apply:
                self._apply(chunk, g)
        return told

    def _apply(self, chunk: Chunk, g: Any) -> None:
        lr = chunk.group["lr"]
        lr = lr.reshape(()) if isinstance(lr, Tensor) else lr
        chunk.rule.apply(chunk.p, g, chunk.mem, chunk.t, lr)

    def _current_plan(self) -> Plan:
        """The plan of the last step, unless a gradient, a rule or the state changed."""
        rules = self._rules()
        live_now = [list(map(id, live(group))) for group in self.param_groups]
        key = (rules, live_now, id(self.state), len(self.state))
        if self._plan is None or self._plan[0] != key:
            self._allocate(rules)
            loop = all(group["foreach"] is False for group in self.param_groups)
            plan = make_plan(self.param_groups, rules, self.state, 0 if loop else self.chunk_bytes)
            self._plan = ((rules, live_now, id(self.state), len(self.state)), plan)
        return self._plan[1]

    def _rules(self) -> list[Rule]:
        return [self.sentence(group) for group in self.param_groups]

    def _allocate(self, rules: list[Rule]) -> None:
        """State for every trainable parameter, also those without a gradient: distributed checkpoints want it so."""
        for rule, group in zip(rules, self.param_groups, strict=True):
            for p in group["params"]:
                if p.requires_grad and not self.state[p]:
                    self.state[p] = rule.state(p)

    def _forget(self) -> None:
        self._plan = None
        self._echo = Echo()

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters; what the group does not give comes from the defaults. After an error nothing is added."""
        super().add_param_group(self.prepare(dict(param_group)))
        try:
            _check_lr(self.param_groups[-1]["lr"])
            self.sentence(self.param_groups[-1])
        except Exception:
            self.param_groups.pop()
            raise
        self._forget()

    def prepare(self, group: Group) -> Group:
        """A new group's numbers as the optimizer keeps them; zoo classes split candidates from the momentum shown."""
        return group

    @torch.no_grad()
    def state_dict(self) -> dict[str, Any]:
        """torch's state dict: flat keys `step` and `slot.name`, tensors and numbers only."""
        self._echo.listen(wait=True)
        self._allocate(self._rules())
        return super().state_dict()

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` gave, in the dtypes in which it was saved; no tensor is shared with the source."""
        saved: dict[str, Any] = {}

        def look(_: Any, given: dict[str, Any]) -> None:
            self._compare(given)
            saved.update(given)

        def put_back(_: Any) -> None:
            restore(self.state, self.param_groups, saved)
            self._forget()

        hooks = [
            self.register_load_state_dict_pre_hook(look),
            self.register_load_state_dict_post_hook(put_back, prepend=True),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()

    def _compare(self, saved: dict[str, Any]) -> None:
        """Refuse a state that another rule wrote, before anything is loaded."""
        for group, told in zip(self.param_groups, saved["param_groups"], strict=False):
            for p, i in zip(group["params"], told["params"], strict=False):
                wanted, given = (
                    set(self.sentence({**group, **told}).state(p.detach().to("meta"))),
                    set(saved["state"].get(i, {})),
                )
                if given and wanted != given:
                    raise CheckpointError(
                        f"The checkpoint's state of parameter {i} holds {sorted(given)}, but {type(self).__name__} "
                        f"with {self.sentence(group)} keeps {sorted(wanted)}. "
                        "Construct the optimizer as it was when it was saved."
                    )

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if not name.startswith("_") or name == "_guard"}
        return {**kept, **super().__getstate__()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)  # checkpoints of an older version lack newer options
        self._forget()

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{sentence(self.param_groups, self._rules())}"

    def report(self) -> dict[str, Any]:
        """What was chosen and why, as plain data: see `core/report.py`. Waits for the device."""
        self._echo.listen(wait=True)
        self._current_plan()
        return report(self)

    def state_bytes(self) -> int:
        """Bytes that the optimizer remembers."""
        return int(self.report()["state_bytes"])


def _check_lr(lr: Any) -> None:
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
    elif not isinstance(lr, (int, float)) or not 0.0 <= lr:
        raise ValueError(f"Invalid learning rate: {lr}")
