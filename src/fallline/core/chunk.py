"""Chunk: some parameters of one group that walk through a rule together, and the readable route on which they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from .border import Team, fetched
from .field import Field, Shards, as_field, shards, tensors_of, total
from .measure import Moment
from .memory import Memory, kept_unless, real
from .rule import Layout, Rule

Fit = bool | Tensor


class Route(Protocol):
    """How a chunk walks. Before a step `gather` is called once; nothing is written where `fit` is false."""

    def gather(self, addresses: list[int]) -> None:
        """Take up the gradients of this step, which lie there."""

    def release(self) -> None:
        """Let go of them after the step."""

    def soundness(self) -> Tensor:
        """One number per tensor, 0 if its gradient is finite, else NaN."""

    def visit(self, fit: Fit, apply: bool) -> dict[str, Tensor]:
        """Remember and measure, and apply as well if asked to; what was measured, by slot."""

    def apply(self, fit: Fit) -> None:
        """Direction, decay, parameters."""


@dataclass(eq=False)
class Chunk:
    """Some parameters of one group that are updated as one field."""

    group: dict[str, Any]
    rule: Rule
    owners: list[Tensor]
    p: Field
    mem: dict[str, Memory]
    clock: Tensor
    team: Team | None = None  # who holds parts of these parameters
    route: Route = field(init=False)
    ranks: list[int] = field(init=False)  # which gradients of a step are its own
    straight: bool = field(init=False)  # all of them, as they come
    gradients: list[Tensor] = field(init=False)  # p.grad as it is
    t: Tensor = field(init=False)  # steps that these parameters have taken, 0-d float64 on their device

    def __post_init__(self) -> None:
        self.route, self.t = Readable(self), self.clock.double()
        self._rate = (0.0, torch.zeros_like(self.t))

    @property
    def layout(self) -> Layout:
        """Which entries of the state are fields, and which are numbers."""
        return self.rule.layout(self.p.dtype)

    def tick(self) -> None:
        """One more step."""
        self.clock.add_(1)
        self.t.copy_(self.clock)

    @property
    def measures(self) -> bool:
        """Whether something is to be decided before the rule may be applied."""
        return any(part.measures for part in self.rule.choosers.values())

    @property
    def lr(self) -> float | Tensor:
        """The group's learning rate, a number or a 0-d tensor."""
        lr: float | Tensor = self.group["lr"]
        return lr.reshape(()) if isinstance(lr, Tensor) else lr

    def rate(self) -> Tensor:
        """The learning rate as a 0-d float64 tensor on the device, always the same one: formulas and graphs read it."""
        lr = self.lr
        if isinstance(lr, Tensor) and lr.device.type != "cpu":
            return self._rate[1].copy_(lr)
        lr = float(lr)
        if lr != self._rate[0]:
            self._rate = (lr, self._rate[1].fill_(lr))
        return self._rate[1]

    def gather(self, gradients: list[Tensor], addresses: list[int]) -> None:
        """Pick this chunk's gradients out of those of a step, and where they lie."""
        if self.straight:
            self.gradients = gradients
        else:
            self.gradients, addresses = [gradients[i] for i in self.ranks], [addresses[i] for i in self.ranks]
        self.route.gather(addresses)

    def gradient(self) -> Field:
        """p.grad as the rule sees it: real, in the state's dtype, of the loss that is to fall. Never written to."""
        g = self.laid([real(g).to(self.rule.computes_in(self.p.dtype)) for g in self.gradients])
        g = g.neg() if self.group["maximize"] else g
        return self.rule.gradient(g, self.p, self.mem, self.t)

    def laid(self, tensors: list[Tensor]) -> Field:
        """Tensors that lie as the parameters do, as a field."""
        return shards(tensors, self.p.places) if isinstance(self.p, Shards) else as_field(tensors)

    def entry(self, key: str) -> Field:
        """What is remembered under a flat key."""
        slot, _, name = key.partition(".")
        return self.mem[slot][name]

    def numbers(self) -> list[Tensor]:
        """What a step of this chunk writes to beside fields: the clock, what was decided, sums of taps."""
        return [self.clock, *(x for key in self.layout.numbers for x in tensors_of(self.entry(key)))]

    def scouted(self) -> list[Tensor]:
        """What a scout writes to: samples, and where the rule walks as it is written all that it remembers."""
        readable = isinstance(self.route, Readable)
        fields = (tensors_of(self.entry(key)) for key, (_, few) in self.layout.fields.items() if few or readable)
        return [*self.numbers(), *(x for each in fields for x in each)]

    def tensors(self) -> list[Tensor]:
        """Everything that a step of this chunk writes to, decisions included."""
        remembered = (x for memory in self.mem.values() for each in memory for x in tensors_of(each))
        return [self.clock, *tensors_of(self.p), *remembered]


class Readable:
    """The rule itself, on tensors or bundles of them."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk

    def gather(self, addresses: list[int]) -> None:
        """The gradients are read as they are, once they lie where their parameters do."""
        if {*map(type, self.chunk.gradients)} - {Tensor}:
            self.chunk.gradients = list(map(fetched, self.chunk.owners, self.chunk.gradients))

    def release(self) -> None:
        """Nothing."""

    def soundness(self) -> Tensor:
        """0 (sum of g), and where that is NaN because the sum overflowed, sum of 0 g, which cannot."""
        seen = as_field([real(g) for g in self.chunk.gradients])
        quick = total(seen).mul(0.0) if self.chunk.clock.device.type == "cpu" else None
        return quick if quick is not None and bool(quick.isfinite().all()) else total(seen.mul(0.0))

    def visit(self, fit: Fit, apply: bool) -> dict[str, Tensor]:
        """Remember and measure on the whole field."""
        chunk, rule = self.chunk, self.chunk.rule
        with kept_unless(fit, chunk.tensors):
            chunk.tick()
            g = chunk.gradient()
            now = Moment(rule, g, chunk.mem, chunk.t, chunk.lr, chunk.p)
            told = now.measure(early=True)
            rule.remember(g, chunk.mem, chunk.t, chunk.lr)
            told |= now.measure()
            if apply:
                rule.apply(chunk.p, g, chunk.mem, chunk.t, chunk.lr)
        return told

    def apply(self, fit: Fit) -> None:
        """Direction, decay, parameters."""
        chunk = self.chunk
        with kept_unless(fit, chunk.tensors):
            chunk.rule.apply(chunk.p, chunk.gradient(), chunk.mem, chunk.t, chunk.lr)
