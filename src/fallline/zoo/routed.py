"""Routed: optimizers whose rule depends on what a parameter is in its network."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import torch
from torch import Tensor, nn

from ..combines import Decoupled
from ..core.chooser import Scale, Selector
from ..core.descent import Descent
from ..core.guess import by_shape, guess
from ..core.network import roles
from ..core.part import Filter, Metric
from ..core.role import Role, Roles, role_of
from ..core.roster import printed
from ..core.rule import Rule
from ..core.section import Section
from ..core.write import Write
from ..filters import EMA, HeavyBall, Nesterov, QuasiHyperbolic
from ..metrics import Euclid, SecondMoment
from ..steps import Constant
from .choice import AUTO_OF_NORM, Betas, Choice, refuse_in_group, split, split_betas
from .precision import precision

if TYPE_CHECKING:
    from typing_extensions import Unpack

Group = dict[str, Any]
BY_SHAPE = "by shape"
REST_BETAS, REST_BANK = "rest_betas", "rest_candidates"
GUESSES = (
    "{} guesses from names and shapes which parameters are hidden matrices. Pass the model, or "
    "roles=fallline.roles(model); or roles='by shape' if that is what you want. `print(opt.table())` shows the guess."
)


FROZEN = (
    "{} moves no matrix: all that it has are frozen, and the rest learns by its other rules. Where that are LoRA's "
    "factors and they shall be matrices, pass roles=fallline.roles(model).set('*lora_*', 'hidden')."
)


class Engine(TypedDict, total=False):
    """What every routed optimizer takes by keyword beside its own numbers."""

    roles: Roles | nn.Module | str | None
    maximize: bool
    foreach: bool | None
    bank: str
    selector: Selector | None
    scale: Scale | None
    judge: Metric | None
    rest_betas: Betas
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
    each). Groups keep the roles as words, checkpoints save them, and loading compares them.
    numbers: what every group has and may override; `momentum` may be a number, candidates, or "auto", and so may the
    first of `rest_betas`: matrices and the rest choose apart. judge: in whose geometry matrices judge their candidates,
    before the metric (docs/momentum.md); None for the metric's own, which is also what bank="full" does.
    """

    picky: ClassVar[bool] = True  # without a hidden matrix there is no reason to take it
    _book: Roles | None = None
    _silent = False

    def __init__(self, params: Any, lr: float | Tensor, numbers: Group, **engine: Unpack[Engine]) -> None:
        book = engine.pop("roles", None)
        if isinstance(params, nn.Module):
            book, params = book or params, list(params.named_parameters())
        self._book, self.by_shape, self._silent = _book(book), book == BY_SHAPE, False
        self.why: list[tuple[str, ...]] = []  # of every group's roles; not in the groups, which print themselves
        self.choice = Choice(engine.pop("bank", "probe"), engine.pop("selector", None), engine.pop("scale", None))
        self.judge = engine.pop("judge", None if self.choice.bank == "full" else Euclid())
        self.precision = precision(engine.pop("write", None), engine.pop("state_dtype", torch.float32))
        if "rest_betas" in engine and "rest_betas" not in numbers:
            raise ValueError(f"{type(self).__name__} has no rest_betas: it moves nothing by an AdamW of its own.")
        if REST_BETAS in engine:
            numbers = numbers | {REST_BETAS: engine.pop("rest_betas")}
        numbers = split_betas(numbers, REST_BETAS, REST_BANK)
        momentum = numbers.get("momentum", 0.0)
        shown, candidates = split(momentum, "momentum value", AUTO_OF_NORM)
        defaults = {**numbers, "momentum": shown, "candidates": candidates}
        options: dict[str, Any] = dict(engine)
        super().__init__(params, lr=lr, defaults=defaults, **options)
        self.choice.refuse_idle(momentum, self.param_groups)
        matrices = self._matrices()
        if self.picky and not matrices:
            raise ValueError(self._idle())
        if self.picky and not any(p.requires_grad for p in matrices):
            warnings.warn(FROZEN.format(type(self).__name__), stacklevel=3)

    def _matrices(self) -> list[Tensor]:
        """What is a hidden matrix, or obeys a rule of matrices."""
        rows = ((s, i, p) for s in self._sections() for i, p in zip(s.places or (), s.params, strict=True))
        return [p for s, i, p in rows if s.rule.matrix or self.suits(role_of(s.group["roles"][i]))]

    def _idle(self) -> str:
        """Why there is nothing to do for an optimizer of matrices."""
        kinds = (role_of(word).kind for group in self.param_groups for word in group["roles"])
        said = ", ".join(f"{n} {kind}" for kind, n in Counter(kinds).items()) or "no parameter at all"
        asked = "print(fallline.roles(model)) says why; .set(pattern, 'hidden') overrules it. " if self._book else ""
        return (
            f"{type(self).__name__} got no hidden matrix: it got {said}. {asked or 'Pass the model itself. '}"
            "If there is none, take AdamW, which would have moved them all."
        )

    def prepare(self, group: Group) -> Group:
        """A group with its parameters' roles, and momentum split into the number shown and the candidates."""
        refuse_in_group(self, group)
        if "momentum" in group and "candidates" not in group:
            group["momentum"], group["candidates"] = split(group["momentum"], "momentum value", AUTO_OF_NORM)
        group.update(split_betas(group, REST_BETAS, REST_BANK))
        params = group["params"]
        if isinstance(params, Tensor) or not isinstance(params, Iterable) or isinstance(params, set):
            params = [params] if isinstance(params, Tensor) else params
        if not isinstance(params, set):
            group["params"] = list(params)
            self._cast(group)
        return group

    def _cast(self, group: Group) -> None:
        """Write down what every parameter of a group is."""
        named = [one if isinstance(one, tuple) else ("", one) for one in group["params"]]
        said = group.get("roles")
        if said is None or said == BY_SHAPE or isinstance(said, Roles | nn.Module):
            book = self._book if said is None else _book(said)
            found = [self._find(str(name), p, book, said == BY_SHAPE) for name, p in named]
        else:
            given = [said] * len(named) if isinstance(said, str | Role) else list(said)
            found = [(role_of(str(one)), "you said so") for one in given]
        if len(found) != len(named):
            raise ValueError(f"A group has {len(named)} parameters but {len(found)} roles. Give one for all, or each.")
        group["roles"] = tuple(str(role) for role, _ in found)
        self.why = [*self.why[: len(getattr(self, "param_groups", []))], tuple(why for _, why in found)]

    def _find(self, name: str, p: Any, book: Roles | None, shapes: bool) -> tuple[Role, str]:
        if not isinstance(p, Tensor):
            return Role("other"), "it is no tensor"  # and torch will say so
        if shapes or (self.by_shape and book is None):
            return by_shape(name, p)
        if entry := book.get(p, name) if book else None:
            return entry.role, entry.why
        if not self._silent:
            self._silent = True
            warnings.warn(GUESSES.format(type(self).__name__), stacklevel=2)
        return guess(name, p)

    def sections(self, group: Group) -> list[Section]:
        """One section for each rule that the group's roles ask for."""
        if len(group["roles"]) != len(group["params"]):
            raise ValueError(
                f"A group has {len(group['params'])} parameters, but was made with {len(group['roles'])}: somebody has "
                "put others in their place, and norms need the matrices that were there."
            )
        found: dict[Rule, list[int]] = {} if group["params"] else {self.sentence(group): []}
        for i, word in enumerate(group["roles"]):
            found.setdefault(self.speak(group, role_of(word)), []).append(i)
        return [Section(group, rule, tuple(places)) for rule, places in found.items()]

    def table(self) -> str:
        """Every parameter: shape, matrices, role, rule, the factor that its shape has on lr, and why; then the rules.

        >>> import torch
        >>> from fallline import Muon
        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 100, bias=False), torch.nn.Linear(100, 2, bias=False))
        >>> print(Muon(net).table())
        parameter  shape  seen as  role    rule  factor  why
        0.weight   100×4  100×4    hidden  1     2       first layer, on dense inputs: outputs by inputs
        1.weight   2×100           head    2     1       output layer: one row for each class or token
        <BLANKLINE>
        1: QuasiHyperbolic(0.95, nu=0.95) → MatchRMS(...) → Constant() → Decoupled(0.1)
        2: EMA(0.9) → SecondMoment(0.95) → Constant() → Decoupled(0.1)
        """
        return printed(self.param_groups, self._sections(), self.why)

    def sentence(self, group: Group) -> Rule:
        """The rule for hidden matrices."""
        return self.speak(group, Role("hidden"))

    def speak(self, group: Group, role: Role) -> Rule:
        """The rule of a role: `matrix` for what is one, `rest` for all others."""
        rule = self.matrix(group) if role.matrix else self.rest(group)
        return replace(rule, view=role.view) if rule.matrix else rule

    def suits(self, role: Role) -> bool:
        """Whether it is made for such parameters; with none of them it would be an AdamW."""
        return role.matrix

    @abstractmethod
    def matrix(self, group: Group) -> Rule:
        """The sentence for hidden matrices."""

    def rest(self, group: Group) -> Rule:
        """AdamW, with the group's lr, decay, and rest_betas and rest_eps, or betas and eps where matrices have such."""
        (beta1, beta2), eps = (group[f"rest_{x}" if f"rest_{x}" in group else x] for x in ("betas", "eps"))
        remember = self.choice.filter(group[REST_BANK]) if group.get(REST_BANK) else EMA(beta1)
        return self.rule_of(remember, SecondMoment(beta2, eps), group)

    def rule_of(self, remember: Filter, metric: Metric, group: Group, **parts: Any) -> Rule:
        """A rule with a constant step and decoupled decay, unless others are given."""
        slots = {"step": Constant(), "combine": Decoupled(group["weight_decay"]), **parts}
        return Rule(remember, metric, **slots, **self.precision)

    def average(self, group: Group) -> Filter:
        """(1 - b) g + b m with m the exponential average (Nesterov), m itself, or a choice among such."""
        momenta = group["candidates"] or (group["momentum"],)
        bank = [QuasiHyperbolic(b, b if group["nesterov"] else 1.0) for b in momenta]
        return self.choice.filter(bank, judge=self.judge) if group["candidates"] else bank[0]

    def unbiased(self, group: Group) -> Filter:
        """Adam's first moment, unbiased from the first step, or a choice among averages."""
        return self.average(group) if group["candidates"] else EMA(group["momentum"])

    def ball(self, group: Group) -> Filter:
        """g + mu h with h the heavy ball (Nesterov), h itself, or a choice among averages, which are its 1 - mu."""
        if group["candidates"]:
            return self.average(group)
        return Nesterov(group["momentum"]) if group["nesterov"] else HeavyBall(group["momentum"])


def _book(said: Any) -> Roles | None:
    """A table of roles, from what the argument `roles` may be."""
    if said is None or said == BY_SHAPE or isinstance(said, Roles):
        return said if isinstance(said, Roles) else None
    if isinstance(said, nn.Module):
        return roles(said)
    raise TypeError(f"Invalid roles: {said!r}; give a model, a table made by fallline.roles(model), or {BY_SHAPE!r}.")


# The numbers of `Routed.rest`; called "betas", schedulers and dashboards would take the first for the momentum.
REST: Group = {"rest_betas": (0.9, 0.95), "rest_eps": 1e-8}
