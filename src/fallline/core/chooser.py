"""Parts that choose: what they may ask of a metric, how they decide, and the engine's side of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from .error import SlotError
from .field import Field, Runs, Shards, inner
from .memory import Memory
from .part import Combine, Metric, Part
from .shard import parts, whole
from .view import View


@dataclass(frozen=True)
class Aim:
    """A metric at its present state: what filters and steps may ask of it while they measure.

    view: how a metric of whole matrices sees the fields; None if it takes them as they are. For steps and combines:
    u, what the metric will be asked, if they want to know; p, the weights that steps move; lr; judge, in whose geometry
    they take dual norms, with its view: None for the metric's own.
    """

    metric: Metric
    mem: Memory
    t: Tensor
    view: View | None = None
    u: Field | None = None
    p: Field | None = None
    lr: float | Tensor = 1.0
    judge: Aim | None = None

    def dual(self, x: Field | None = None) -> Tensor:
        """The dual norm of x (of u if not given), the most that a step of norm 1 can win: [tensors, 1]."""
        x = self.u if x is None else x
        assert x is not None
        if self.judge:
            return self.judge.dual(x)
        return self._share(self.metric.dual(self._seen(x), self.mem, self.t)[:, None], x)

    def norm(self, w: Field) -> Tensor:
        """The length of w: [tensors, 1]. Of a sharded w nobody's part has it: see `squares` for what adds up."""
        if self.judge:
            return self.judge.norm(w)
        return self._share(self.metric.norm(self._seen(w), self.mem, self.t)[:, None], w)

    def squares(self, w: Field) -> Tensor:
        """norm(w)^2, which adds up over layers and shards where the metric is one for steps that are `as_long`."""
        if self.judge:
            return self.judge.squares(w)
        return self._share(self.metric.norm(self._seen(w), self.mem, self.t).square()[:, None], w)

    def dual_squares(self, g: Field) -> Tensor:
        """dual(g)^2, as `squares`."""
        if self.judge:
            return self.judge.dual_squares(g)
        return self._share(self.metric.dual(self._seen(g), self.mem, self.t).square()[:, None], g)

    def direction(self, u: Field) -> Field:
        """The steepest direction for u, as the fields lie."""
        d = self.metric.direction(self._seen(u), self.mem, self.t)
        return parts(d if self.view is None else self.view.close(d, u), u)

    def won(self, g: Field, start: Field) -> Tensor:
        """<g, start - p>, what the way from start to the weights has won by the present gradient: [tensors, 1]."""
        assert self.p is not None
        return inner(g, start - self.p)[:, None]

    def align(self, g: Field, us: list[Field]) -> Tensor:
        """<g, direction(u_k)>: [tensors, K]."""
        return self._share(self.metric.align(self._seen(g), list(map(self._seen, us)), self.mem, self.t), g)

    def power(self, gram: Tensor, g: Field) -> Tensor:
        """The candidates' power in the trust region: [tensors, K, K]."""
        return self._share(self.metric.power(gram, self._seen(g), self.mem, self.t), g)

    def at(self, pick: Callable[[Field], Field]) -> Aim:
        """The same metric on the coordinates that `pick` selects."""
        return Aim(self.metric, self.mem.map(pick), self.t)

    def _seen(self, x: Field) -> Field:
        x = x if self.metric.elementwise and self.view is None else whole(x)
        return x if self.view is None else self.view.open(x)

    def _share(self, rows: Tensor, x: Field) -> Tensor:
        """One row per weight; where all processes have seen whole ones, an even part of it, since they add up."""
        rows = rows if self.view is None else self.view.fold(rows)
        seen_by_all = isinstance(x, Shards) and not (self.metric.elementwise and self.view is None)
        return rows / x.places[0].ranks if seen_by_all else rows  # type: ignore[attr-defined]


SCOPES = ("global", "parameter")


class Chooser(Part):
    """A part that reads inner products of the whole scope before it acts.

    `measure` returns additive numbers, the engine sums them over the scope, `decide` turns the sums into coefficients.
    Scope "global" shares one decision among all parameters with an equal such part on one device; "parameter" decides
    for each. judge: a norm without memory in whose geometry it measures; None for the rule's own metric.
    """

    judge: Metric | None = None
    across: ClassVar[bool] = False  # parameters with different metrics decide together
    early: ClassVar[bool] = False  # it measures before filter and metric take in the gradient
    of_output: ClassVar[bool] = False  # a step that measures what the metric will be asked
    as_long: ClassVar[bool] = False  # a step for metrics whose directions are as long as gradients: it adds up squares
    hears: ClassVar[bool] = False  # the loss of the step is laid into its decision `loss` before it measures
    spends: ClassVar[bool] = True  # one that hears goes as far as that loss allows: two apart would go twice as far

    def circle(self, metric: Metric) -> type[Metric] | None:
        """Which of those that have an equal such part decide together: those who are judged in one kind of geometry."""
        return None if self.across else type(self.judge or metric)

    @property
    def peer(self) -> Chooser:
        """The part as those see it who decide with it: across metrics, whoever judges."""
        return replace(self, judge=None) if self.across and self.judge else self  # type: ignore[call-arg]

    @property
    @abstractmethod
    def scope(self) -> str:
        """ "global" or "parameter"."""

    @property
    @abstractmethod
    def measures(self) -> bool:
        """False if there is nothing to choose; then the engine skips measure and decide."""

    def runs(self, n: int) -> Runs | None:
        """Which of n coordinates it judges on; None for all of them."""
        return None

    @abstractmethod
    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """What is remembered once per scope, as it is before the first step."""

    @abstractmethod
    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """Additive numbers of these fields: [tensors, numbers], float64."""

    @abstractmethod
    def decide(self, measured: Tensor, mem: Memory) -> None:
        """measured [scopes, numbers]; writes the decisions, each [scopes, ...], in place."""


def check_scope(scope: str) -> None:
    """Raise unless it is one of the two."""
    if scope not in SCOPES:
        raise ValueError(f"Invalid scope: {scope!r}; 'global', one decision for all, or 'parameter', one for each.")


def check_start(start: float, meaning: str) -> None:
    """Raise unless what a decision begins with is a number > 0; meaning: the rest of the sentence."""
    if not (isinstance(start, (int, float)) and 0.0 < start < torch.inf):
        raise ValueError(f"Invalid start: {start!r}; {meaning}.")


def check_choosers(rule: Any) -> None:
    """Raise where a part of a rule would measure what the metric cannot say, or is not asked."""
    steady = not isinstance(rule.filter, Chooser) and not rule.filter.matrix and rule.before is None
    steady = steady and flat(rule.combine)
    if isinstance(rule.step, Chooser) and rule.step.of_output and not steady:
        raise SlotError(
            f"{rule.step} measures the filter's output before the step is taken, so nothing may stand between that and "
            "the metric: no filter that chooses or sees matrices, no map before the metric, no manifold. Take "
            "Constant(), or OwnDual(metric) for each layer's own step size."
        )
    for metric in (rule.metric, rule.step.judge) if isinstance(rule.step, Chooser) and rule.step.as_long else ():
        if metric and not metric.linear:
            raise SlotError(
                f"{type(rule.step).__name__} divides by the length of gradients, but {metric} has directions of one "
                f"length whatever the gradient's. Take OwnDual({metric}), whose directions have it, or ProdigyStep()."
            )
    for part in rule.choosers.values() if rule.scouts else ():
        judge = part.judge or rule.metric
        if not judge.elementwise or (rule.stacked and not part.judge):
            raise SlotError(
                f"{type(part).__name__} scores a sample of coordinates, but {judge} needs whole tensors. Use a Bank, "
                "which keeps the candidates in full, or judge them before the metric: judge=Euclid()."
            )


def flat(combine: Combine) -> bool:
    """Whether the metric is asked what the filter put out, as it is: a combine around another does as that."""
    inner = getattr(combine, "combine", None)
    return type(combine).tangent is Combine.tangent if inner is None else flat(inner)


class Selector(Part):
    """Who decides among K candidates."""

    scope: str
    score: str
    power: str
    single: ClassVar[bool] = True  # it names one candidate; False if it may mix them
    signed: ClassVar[bool] = False  # weights may be negative, so that a mixture's taps may sum to nothing
    measures: ClassVar[bool] = True  # it looks at the gradients

    @abstractmethod
    def decisions(self, k: int) -> dict[str, Tensor]:
        """What is remembered between decisions of k candidates."""

    @abstractmethod
    def choose(self, alignment: Tensor, power: Tensor, mem: Memory) -> Tensor:
        """alignment [scopes, K] and power [scopes, K, K] -> weights [scopes, K]."""


class Scale(Part):
    """How loud the chosen filter speaks: the factor on its output."""

    signed: ClassVar[bool] = False  # positive also where the taps sum to nothing or less
    unit: ClassVar[bool] = False  # the factor makes the gain 1

    @abstractmethod
    def factor(self, gain: Tensor, energy: Tensor, beta: Tensor, t: Tensor) -> Tensor:
        """From the filter's sum of taps, sum of squared taps and decay to one number."""
