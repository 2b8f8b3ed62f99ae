"""The interfaces of all parts, and nothing else.

A part is a frozen dataclass, abstract or final. It declares what it remembers of each parameter (`memory`) and computes
on fields; the engine does the rest. `t`: steps a parameter has taken, this one included, 0-d float64 on its device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from .field import Field, inner
from .memory import Memory


@dataclass(frozen=True)
class Part(ABC):
    """Something that a rule is composed of. Printing it gives the words that build it."""

    elementwise: ClassVar[bool] = True  # one formula for every coordinate; otherwise it needs whole tensors
    matrix: ClassVar[bool] = False  # it works on stacks `[..., m, n]`, so it is not elementwise

    def __str__(self) -> str:
        given = [(f, getattr(self, f.name)) for f in fields(self)]
        bare = [_text(v) for f, v in given if f is given[0][0] or f.default is MISSING]
        named = [f"{f.name}={_text(v)}" for f, v in given[1:] if f.default is not MISSING and v != f.default]
        return f"{type(self).__name__}({', '.join(bare + named)})"

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """What is remembered of parameter p, as it is before the first step."""
        return {}


def _text(value: object) -> str:
    said = str(value) if isinstance(value, Part) else repr(value)
    return f"({', '.join(map(_text, value))})" if isinstance(value, tuple) else said


def kind(part: Part) -> str:
    """A part without its numbers, but with the parts inside it and who decides together."""
    inner = {f.name: getattr(part, f.name) for f in fields(part)}
    said = {name: x for name, x in inner.items() if isinstance(x, Part) or name == "scope"}
    words = [kind(x) if isinstance(x, Part) else x for x in said.values()]
    return f"{type(part).__name__}({', '.join(words)})" if words else type(part).__name__


class Filter(Part):
    """How the past is remembered: a causal filter from gradients to one field, u_n = sum_k q_k g_{n-k}."""

    @abstractmethod
    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        """Take in the gradient of step t."""

    @abstractmethod
    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """What the filter makes of the past, after it took in g."""

    @abstractmethod
    def taps(self, n: int) -> Tensor:
        """The impulse response q_0 .. q_{n-1}, float64: [n], or [K, n] for K candidates."""

    @abstractmethod
    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """Sum of the taps that made the last output: the learning rate times this is the effective learning rate."""

    @abstractmethod
    def momentum(self, mem: Memory) -> Tensor | float:
        """The decay factor in use; 0 for a filter without memory."""


class Metric(Part):
    """Which way is steepest: a norm on the parameters, through its dual map."""

    linear: ClassVar[bool] = True  # a filter's gain passes through to the step
    floored: ClassVar[bool] = False  # it remembers `unit`, a number that it is told: what a gradient counts by now

    @property
    def observes(self) -> bool:
        """Whether it learns from gradients; a fixed norm does not."""
        return type(self).observe is not Metric.observe

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """Take in the raw gradient of step t. A fixed norm learns nothing."""

    @abstractmethod
    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """The steepest direction for u, uphill."""

    @abstractmethod
    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """Length of w, one number per tensor."""

    @abstractmethod
    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """max <g, w> over norm(w) <= 1, one number per tensor."""

    @abstractmethod
    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        """<g, direction(u_k)> of every candidate: [tensors, K]."""

    @abstractmethod
    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """Inner products of the filters in the trust region, summed over coordinates: [K, K] -> [tensors, K, K]."""


class Ball(Metric):
    """A fixed norm. direction(g) = argmax of <g, d> over norm(d) <= 1, so of one power; <g, direction(g)> = dual(g)."""

    linear: ClassVar[bool] = False

    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        return torch.stack([inner(g, self.direction(u, mem, t)) for u in us], -1)

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        return self.dimension(g)[:, None, None] * torch.ones_like(gram)

    @abstractmethod
    def dimension(self, g: Field) -> Tensor:
        """Number of coordinates, one per tensor."""


class Preconditioner(Metric):
    """A quadratic norm, norm(w)^2 = <w, D w>. direction(g) = D^-1 g is linear, and <g, direction(g)> = dual(g)^2.

    A filter q turns white noise into an update of mean square length sum_k q_k^2 tr D^-1, which is its power.
    """

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        return self.inner(w, w, mem, t).sqrt()

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        return inner(g, self.direction(g, mem, t)).sqrt()

    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        serves_all = self.direction(g, mem, t)  # <g, D^-1 u> = <D^-1 g, u>
        return torch.stack([inner(serves_all, u) for u in us], -1)

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        return self.trace(g, mem, t)[:, None, None] * gram

    @abstractmethod
    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<a, D b>, one number per tensor."""

    @abstractmethod
    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """tr D^-1, one number per tensor."""


class Map(Part):
    """A small transformation before or after the metric."""

    @property
    def observes(self) -> bool:
        """Whether it watches the raw gradient beside what it transforms."""
        return type(self).observe is not Map.observe

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """Take in the raw gradient of step t. Most maps do not look at it."""

    @abstractmethod
    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """The transformed field; called once per step, so that it may remember what it saw."""


@dataclass(frozen=True)
class Around(Part):
    """A part around a metric: it remembers what the metric remembers, and learns if that learns."""

    metric: Metric

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The metric's."""
        return self.metric.memory(p)

    @property
    def observes(self) -> bool:
        """Whether the metric does."""
        return self.metric.observes

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """The metric's."""
        self.metric.observe(g, mem, t)


class Step(Part):
    """How far to go."""

    inward: ClassVar[bool] = False  # filters alone take in weighed gradients, lr and all: lr scale is what decay counts

    def observe(self, lr: float | Tensor, g: Field, mem: Memory, t: Tensor) -> None:
        """Take in the raw gradient of step t, before filter and metric do."""

    def gradient(self, g: Field, mem: Memory, t: Tensor) -> Field:
        """What filter and metric take in of a gradient; g, unless late gradients weigh more than early ones."""
        return g

    def unit(self, mem: Memory) -> Tensor | None:
        """How much a gradient of now counts, where `gradient` weighs them; None where all count alike."""
        return None

    def scale(self, mem: Memory) -> Field | float:
        """The number that lr is multiplied by, to be shown: 1, unless it finds one."""
        return 1.0

    @abstractmethod
    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        """Step length along d, which was made of u: one number, or factors that go with d ([..., 1, n] of stacks)."""


class Combine(Part):
    """How a direction enters the weights."""

    together: ClassVar[bool] = False  # a section's parameters walk as one bundle, or not at all
    ahead: ClassVar[bool] = False  # gradients are taken at other weights than those that are trained: see `settled`
    walks: ClassVar[int] = 1  # gradients in a step, each from a closure of its own; t counts them

    def misfit(self, p: Tensor) -> str | None:
        """Why it cannot move these weights; asked once, when they are handed over."""
        return None

    def gradient(self, g: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """The gradient that filter and metric see; g, unless the weights have a say."""
        return g

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """What of the filter's output the metric sees; u, unless the weights lie on a manifold."""
        return u

    def fade(self, p: Field, lr: float | Tensor, mem: Memory, t: Tensor) -> None:
        """Shrink p before a move enters it, where decay goes by the group's lr and not by the step's size."""

    @abstractmethod
    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """Change p in place by `move`, which already points downhill and has length `size`."""

    def moved(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """The weights that steps move, from which steps measure how far they came; p, unless those are kept apart."""
        return p

    def scale(self, mem: Memory) -> Field | float:
        """The number that steps are multiplied by, to be shown: 1, unless it finds one."""
        return 1.0

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """The weights that are trained, to evaluate and to keep; p, unless gradients are taken elsewhere."""
        return p
