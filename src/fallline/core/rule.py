"""Rule: one sentence that says how a gradient changes a parameter."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor

from .error import SlotError
from .field import Field
from .memory import Memory, State, allocate, real
from .part import Aim, Chooser, Combine, Filter, Map, Metric, Part, Step

SLOTS: dict[str, type[Part]] = {
    "filter": Filter,
    "before": Map,
    "metric": Metric,
    "after": Map,
    "step": Step,
    "combine": Combine,
}


SIZE = 1 << 14  # coordinates of a tensor that stands for any: its sample is smaller than it, and no number is larger


class Layout(NamedTuple):
    """What the state of a rule's parameters consists of beside the clock, in flat keys."""

    fields: tuple[str, ...]  # like the parameter, or like its sample
    sampled: frozenset[str]  # those that are like its sample
    numbers: tuple[str, ...]  # all that is decided, and everything 0-d


@final
@dataclass(frozen=True)
class Rule:
    """Filter the gradient, turn it by a metric, take a step, enter the weights.

        u_n = filter(g_n, g_{n-1}, ...)    d_n = after(metric(before(u_n)))    theta <- combine(theta, -step d_n)

    `before` and `after` are maps and may be left out. Every slot is typed and checked here.

    >>> from fallline import EMA, SecondMoment, Constant, Decoupled, Rule
    >>> print(Rule(EMA(0.9), SecondMoment(0.999), Constant(), Decoupled(0.01)))
    EMA(0.9) → SecondMoment(0.999) → Constant() → Decoupled(0.01)
    """

    filter: Filter
    metric: Metric
    step: Step
    combine: Combine
    before: Map | None = None
    after: Map | None = None

    def __post_init__(self) -> None:
        for slot, kind in SLOTS.items():
            part = getattr(self, slot)
            if not isinstance(part, kind) and not (part is None and kind is Map):
                raise SlotError(_misfit(slot, kind, part))
        if not self.metric.elementwise and self.scouts:
            raise SlotError(
                f"{type(self.filter).__name__} scores a sample of coordinates, but {self.metric} needs whole tensors. "
                "Use a Bank, which keeps the candidates in full."
            )

    def __str__(self) -> str:
        return " → ".join(str(getattr(self, slot)) for slot in SLOTS if getattr(self, slot) is not None)

    @property
    def recipe(self) -> str:
        """The kinds of parts without their numbers: what a checkpoint must have in common with its reader.

        >>> from fallline import Bank, Constant, Decoupled, Euclid, Greedy
        >>> Rule(Bank((0.5, 0.9), Greedy()), Euclid(), Constant(), Decoupled(0.01)).recipe
        'Bank(Greedy(global), UnitGain) → Euclid → Constant → Decoupled'
        """
        return " → ".join(map(_kind, self.parts.values()))

    @property
    def parts(self) -> dict[str, Part]:
        """The parts by slot, in the order in which a gradient meets them."""
        return {slot: getattr(self, slot) for slot in SLOTS if getattr(self, slot) is not None}

    @property
    def choosers(self) -> dict[str, Chooser]:
        """The parts that measure before they act, by slot."""
        return {slot: part for slot, part in self.parts.items() if isinstance(part, Chooser)}

    @property
    def scouts(self) -> bool:
        """Whether some part judges on a sample, so that it can decide before anybody has seen everything."""
        return any(part.measures and part.runs(SIZE) is not None for part in self.choosers.values())

    @cached_property
    def layout(self) -> Layout:
        """Which entries of the state are fields, and which are numbers."""
        p = torch.empty(SIZE)
        shapes = {f"{s}.{name}": x.shape for s, part in self.parts.items() for name, x in part.memory(p).items()}
        decided = [f"{s}.{name}" for s, part in self.choosers.items() for name in part.decisions(p.device)]
        fields = tuple(key for key, shape in shapes.items() if shape)
        single = [key for key, shape in shapes.items() if not shape]
        return Layout(fields, frozenset(key for key in fields if shapes[key] != p.shape), (*single, *decided))

    def state(self, p: Tensor) -> dict[str, Tensor]:
        """What a new parameter's state holds, in flat keys; what is decided per scope comes with it."""
        seen = real(p.detach())
        memories = {slot: part.memory(seen) for slot, part in self.parts.items()}
        for slot, part in self.choosers.items():
            memories[slot] = memories[slot] | part.decisions(p.device)
        return allocate(p, memories)

    def remember(self, g: Field, mem: dict[str, Memory], t: Tensor) -> None:
        """Filter and metric take in the gradient."""
        self.filter.remember(g, mem["filter"], t)
        self.metric.observe(g, mem["metric"], t)

    def measure(self, g: Field, mem: dict[str, Memory], t: Tensor) -> dict[str, Tensor]:
        """Each measuring part's share of the inner products, [tensors, numbers] by slot."""
        aim = Aim(self.metric, mem["metric"], t)
        return {s: part.measure(g, mem[s], aim, t) for s, part in self.choosers.items() if part.measures}

    def apply(self, p: Field, g: Field, mem: dict[str, Memory], t: Tensor, lr: float | Tensor) -> None:
        """Direction, step, parameters. Here is the library's one minus sign."""
        u = self.filter.output(g, mem["filter"], t)
        u = self.before(u, mem["before"], t) if self.before else u
        d = self.metric.direction(u, mem["metric"], t)
        d = self.after(d, mem["after"], t) if self.after else d
        size = self.step.size(lr, mem["step"], t)
        self.combine.enter(p, d.mul(-size), size, mem["combine"], t)


def _kind(part: Part) -> str:
    inner = {f.name: getattr(part, f.name) for f in fields(part)}
    words = [
        _kind(x) if isinstance(x, Part) else x for name, x in inner.items() if isinstance(x, Part) or name == "scope"
    ]
    return f"{type(part).__name__}({', '.join(words)})" if words else type(part).__name__


def ours(state: State) -> set[str]:
    """The keys that belong to rules; wrappers and users may keep things of their own beside them."""
    return {key for key in state if key == "step" or key.partition(".")[0] in SLOTS}


def _misfit(slot: str, kind: type[Part], part: object) -> str:
    home = [name for name, other in SLOTS.items() if isinstance(part, other)]
    given = f"{type(part).__name__} (a part for the slot {home[0]!r})" if home else repr(part)
    noun = kind.__name__
    return (
        f"The slot {slot!r} of a Rule takes a {noun}, but got {given}. Give it one of fallline.{noun.lower()}s, "
        f"for example Rule(EMA(0.9), SecondMoment(0.999), Constant(), Decoupled(0.01))."
    )
