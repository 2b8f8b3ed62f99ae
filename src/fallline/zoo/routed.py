"""Routed: optimizers whose rule depends on what a parameter is in its network."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor, nn

from ..combines import Decoupled
from ..core.chooser import Scale, Selector
from ..core.descent import Descent
from ..core.network import guess, roles
from ..core.part import Filter, Metric
from ..core.role import Role, Roles, role_of
from ..core.rule import Rule
from ..core.section import Section
from ..core.write import Write
from ..filters import EMA, HeavyBall, Nesterov, QuasiHyperbolic
from ..metrics import Euclid, SecondMoment
from ..steps import Constant
from .choice import Choice, refuse_in_group, split
from .precision import precision

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]
BY_SHAPE = "by shape"


class Engine(TypedDict, total=False):
    """What every routed optimizer takes by keyword beside its own numbers."""

    roles: Roles | nn.Module | str | None
    maximize: bool
    foreach: bool | None
    bank: str
    selector: Selector | None
    scale: Scale | None
    judge: Metric | None
    write: str | Write | None
    state_dtype: torch.dtype
    delay: int
    on_nonfinite: str
    chunk_bytes: int | None


class Routed(Descent):
    """An optimizer with one rule for hidden matrices and another for the rest of a network.

    params: a module, named parameters, parameters or groups. roles: what they are: a module, a table made by
    `fallline.roles(model)`, or "by shape" (two axes or more are matrices); None asks params, if they are a module, and
    guesses from names and shapes with a warning otherwise. A group may say `roles="other"` (one for all, or one for
    each).
    numbers: what every group has and may override; `momentum` may be a number, candidates, or "auto".
    """

    _book: Roles | None = None
    _guessed = False

    def __init__(self, params: Any, lr: float | Tensor, numbers: Group, **engine: Unpack[Engine]) -> None:
        book = engine.pop("roles", None)
        if isinstance(params, nn.Module):
            book, params = book or params, list(params.named_parameters())
        self._book = roles(book) if isinstance(book, nn.Module) else book if isinstance(book, Roles) else None
        self._guessed = book == BY_SHAPE
        self.choice = Choice(engine.pop("bank", "probe"), engine.pop("selector", None), engine.pop("scale", None))
        self.judge = engine.pop("judge", None if self.choice.bank == "full" else Euclid())
        self.precision = precision(engine.pop("write", None), engine.pop("state_dtype", torch.float32))
        momentum = numbers.get("momentum", 0.0)
        shown, candidates = split(momentum, "momentum value")
        defaults = {**numbers, "momentum": shown, "candidates": candidates}
        options: dict[str, Any] = dict(engine)
        super().__init__(params, lr=lr, defaults=defaults, **options)
        self.choice.refuse_idle(momentum, self.param_groups)
        if not any(role_of(word).matrix for group in self.param_groups for word in group["roles"]):
            raise ValueError(
                f"{type(self).__name__} got no hidden matrix: every parameter is {self._kinds()}. Pass the model, "
                "or roles=fallline.roles(model), or take AdamW."
            )

    def _kinds(self) -> str:
        words = (word for group in self.param_groups for word in group["roles"])
        return " or ".join(dict.fromkeys(role_of(word).kind for word in words))

    def prepare(self, group: Group) -> Group:
        """A group with its parameters' roles, and momentum split into the number shown and the candidates."""
        refuse_in_group(self, group)
        if "momentum" in group and "candidates" not in group:
            group["momentum"], group["candidates"] = split(group["momentum"], "momentum value")
        params = group["params"]
        if isinstance(params, Tensor) or not isinstance(params, Iterable) or isinstance(params, set):
            params = [params] if isinstance(params, Tensor) else params
        if not isinstance(params, set):
            group["params"] = list(params)
            self._cast(group)
        return group

    def _cast(self, group: Group) -> None:
        named = [one if isinstance(one, tuple) else ("", one) for one in group["params"]]
        said = group.get("roles")
        if said is None:
            found = [self._find(name, p) for name, p in named]
            group["roles"], group["why"] = tuple(str(role) for role, _ in found), tuple(why for _, why in found)
            return
        words = (said,) * len(named) if isinstance(said, str) else tuple(said)
        group["roles"] = tuple(str(role_of(word)) for word in words)
        group.setdefault("why", ("you said so",) * len(named))

    def _find(self, name: str, p: Any) -> tuple[Role, str]:
        entry = self._book.get(p) if self._book and isinstance(p, Tensor) else None
        if entry:
            return entry.role, entry.why
        if not self._guessed:
            self._guessed = True
            warnings.warn(
                f"{type(self).__name__} guesses from names and shapes which parameters are hidden matrices. Pass the "
                "model, or roles=fallline.roles(model); or roles='by shape' if that is what you want.",
                stacklevel=2,
            )
        return guess(name, p) if isinstance(p, Tensor) else (Role("other"), "it is no tensor")

    def sections(self, group: Group) -> list[Section]:
        """One section for each rule that the group's roles ask for."""
        found: dict[Rule, list[int]] = {}
        for i, word in enumerate(group["roles"]):
            found.setdefault(self.speak(group, role_of(word)), []).append(i)
        return [Section(group, rule, tuple(places)) for rule, places in found.items()]

    def sentence(self, group: Group) -> Rule:
        """The rule for hidden matrices."""
        return self.speak(group, Role("hidden"))

    def speak(self, group: Group, role: Role) -> Rule:
        """The rule of a role: `matrix` for what is one, `rest` for all others."""
        rule = self.matrix(group) if role.matrix else self.rest(group)
        return replace(rule, view=role.view) if rule.matrix else rule

    @abstractmethod
    def matrix(self, group: Group) -> Rule:
        """The sentence for hidden matrices."""

    def rest(self, group: Group) -> Rule:
        """AdamW, with the group's lr, betas, eps and decay."""
        beta1, beta2 = group["betas"]
        return self.rule_of(EMA(beta1), SecondMoment(beta2, group["eps"]), group)

    def rule_of(self, remember: Filter, metric: Metric, group: Group, **parts: Any) -> Rule:
        """A rule with a constant step and decoupled decay, unless others are given."""
        slots = {"step": Constant(), "combine": Decoupled(group["weight_decay"]), **parts}
        return Rule(remember, metric, **slots, **self.precision)

    def average(self, group: Group) -> Filter:
        """(1 - b) g + b m with m the exponential average (Nesterov), m itself, or a choice among such."""
        momenta = group["candidates"] or (group["momentum"],)
        bank = [QuasiHyperbolic(b, b if group["nesterov"] else 1.0) for b in momenta]
        return self.choice.filter(bank, judge=self.judge) if group["candidates"] else bank[0]

    def ball(self, group: Group) -> Filter:
        """g + mu h with h the heavy ball (Nesterov), h itself, or a choice among averages, which are its 1 - mu."""
        if group["candidates"]:
            return self.average(group)
        return Nesterov(group["momentum"]) if group["nesterov"] else HeavyBall(group["momentum"])


REST: Group = {"betas": (0.9, 0.95), "eps": 1e-8}  # the numbers of `Routed.rest`
