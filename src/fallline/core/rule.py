"""Rule: one sentence that says how a gradient changes a parameter."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple, final

import torch
from torch import Tensor

from .border import dtensor, near, spread
from .error import SlotError
from .field import Field
from .memory import Memory, State, allocate, real
from .part import Aim, Chooser, Combine, Filter, Map, Metric, Part, Step
from .write import Nearest, Write

SLOTS: dict[str, type[Part]] = {
    "filter": Filter,
    "before": Map,
    "metric": Metric,
    "after": Map,
    "step": Step,
    "combine": Combine,
    "write": Write,
}
NEAREST = Nearest()


SIZE = 1 << 14  # coordinates of a tensor that stands for any: its sample is smaller than it, and no number is larger


class Layout(NamedTuple):
    """What the state of a rule's parameters consists of beside the clock, in flat keys."""

    fields: dict[str, tuple[torch.dtype, bool]]  # like the parameter, or like its sample (True)
    numbers: tuple[str, ...]  # all that is decided, and everything 0-d


@final
@dataclass(frozen=True)
class Rule:
    """Filter the gradient, turn it by a metric, take a step, enter the weights, round.

        u_n = filter(g_n, g_{n-1}, ...)    d_n = after(metric(before(u_n)))    theta <- combine(theta, -step d_n)

    `before` and `after` are maps and may be left out. Every slot is typed and checked here. What is remembered and
    computed has `state_dtype`, or the weights' own where that is wider; `write` rounds the result into the weights.

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
    write: Write = NEAREST
    state_dtype: torch.dtype = torch.float32

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
        if self.state_dtype not in (torch.float32, torch.float64):
            raise ValueError(_narrow(self.state_dtype))

    def __str__(self) -> str:
        words = " → ".join(map(str, self._said()))
        return words if self.state_dtype is torch.float32 else f"{words}, in {str(self.state_dtype)[6:]}"

    def _said(self) -> list[Part]:
        """The parts that are worth a word: that numbers are rounded to the nearest goes without saying."""
        return [part for part in self.parts.values() if part != NEAREST]

    @property
    def recipe(self) -> str:
        """The kinds of parts without their numbers: what a checkpoint must have in common with its reader.

        >>> from fallline import Bank, Constant, Decoupled, Euclid, Greedy
        >>> Rule(Bank((0.5, 0.9), Greedy()), Euclid(), Constant(), Decoupled(0.01)).recipe
        'Bank(Greedy(global), UnitGain) → Euclid → Constant → Decoupled'
        """
        return " → ".join(map(_kind, self._said()))

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

    def computes_in(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype of memory and arithmetic for weights of a (real) dtype: never narrower than they."""
        return wider(dtype, self.state_dtype)

    def rounds(self, p: Tensor) -> bool:
        """Whether results have to be rounded into p."""
        dtype = p.dtype.to_real()
        return self.computes_in(dtype) != dtype

    @lru_cache(maxsize=256)  # noqa: B019  # rules are small and equal rules are one
    def layout(self, dtype: torch.dtype) -> Layout:
        """What the state of weights of this dtype consists of."""
        p = torch.empty(SIZE, dtype=dtype)
        decided = {f"{s}.{name}" for s, part in self.choosers.items() for name in part.decisions(p.device)}
        state = {key: x for key, x in self.state(p).items() if key != "step"}
        fields = {key: (x.dtype, x.shape != p.shape) for key, x in state.items() if x.dim() and key not in decided}
        return Layout(fields, tuple(key for key in state if key not in fields))

    def state(self, p: Tensor) -> dict[str, Tensor]:
        """What a new parameter's state holds, in flat keys; what is decided per scope comes with it."""
        seen = real(near(p.detach()))
        wide = seen.to(self.computes_in(seen.dtype))
        memories = {slot: part.memory(wide) for slot, part in self.parts.items() if slot != "write"}
        memories["write"] = self.write.memory(seen) if self.rounds(p) else {}
        for slot, part in self.choosers.items():
            memories[slot] = memories[slot] | part.decisions(p.device)
        made = allocate(p, memories)
        if not dtensor(p):
            return made
        whole = self.state(torch.empty(p.shape, dtype=p.dtype, device="meta"))
        fields = {key: sampled for key, (_, sampled) in self.layout(seen.dtype).fields.items()}
        return spread(p, made, fields, {key: whole[key].shape for key in fields})

    def gradient(self, g: Field, p: Field, mem: dict[str, Memory], t: Tensor) -> Field:
        """The gradient that filter and metric see."""
        return self.combine.gradient(g, self._open(p, mem, t), mem["combine"], t)

    def remember(self, g: Field, mem: dict[str, Memory], t: Tensor) -> None:
        """Filter and metric take in the gradient."""
        self.filter.remember(g, mem["filter"], t)
        self.metric.observe(g, mem["metric"], t)

    def measure(self, g: Field, mem: dict[str, Memory], t: Tensor) -> dict[str, Tensor]:
        """Each measuring part's share of the inner products, [tensors, numbers] by slot."""
        aim = Aim(self.metric, mem["metric"], t)
        return {s: part.measure(g, mem[s], aim, t) for s, part in self.choosers.items() if part.measures}

    def apply(self, p: Field, g: Field, mem: dict[str, Memory], t: Tensor, lr: float | Tensor) -> None:
        """Direction, step, parameters, rounding. Here is the library's one minus sign."""
        u = self.filter.output(g, mem["filter"], t)
        u = self.before(u, mem["before"], t) if self.before else u
        d = self.metric.direction(u, mem["metric"], t)
        d = self.after(d, mem["after"], t) if self.after else d
        size = self.step.size(lr, mem["step"], t)
        work = self._open(p, mem, t)
        self.combine.enter(work, d.mul(-size), size, mem["combine"], t)
        if work is not p:
            self.write.close(p, work, mem["write"], t)

    def _open(self, p: Field, mem: dict[str, Memory], t: Tensor) -> Field:
        """The weights as the rule computes with them: p itself where it is wide enough."""
        dtype = self.computes_in(p.dtype)
        return p if dtype == p.dtype else self.write.open(p, dtype, mem["write"], t)


@lru_cache(maxsize=64)
def wider(a: torch.dtype, b: torch.dtype) -> torch.dtype:
    """The narrowest dtype that holds both; looked up, since torch answers it with an operation."""
    return torch.promote_types(a, b)


def _kind(part: Part) -> str:
    inner = {f.name: getattr(part, f.name) for f in fields(part)}
    words = [
        _kind(x) if isinstance(x, Part) else x for name, x in inner.items() if isinstance(x, Part) or name == "scope"
    ]
    return f"{type(part).__name__}({', '.join(words)})" if words else type(part).__name__


def ours(state: State) -> set[str]:
    """The keys that belong to rules; wrappers and users may keep things of their own beside them."""
    return {key for key in state if key == "step" or key.partition(".")[0] in SLOTS}


def _narrow(given: object) -> str:
    half = given in (torch.bfloat16, torch.float16)
    why = "An average with decay .999 stands still there: what it adds is below half the spacing. " if half else ""
    return f"Invalid state_dtype: {given!r}. {why}Give torch.float32 or torch.float64."


def _misfit(slot: str, kind: type[Part], part: object) -> str:
    home = [name for name, other in SLOTS.items() if isinstance(part, other)]
    given = f"{type(part).__name__} (a part for the slot {home[0]!r})" if home else repr(part)
    noun = kind.__name__
    return (
        f"The slot {slot!r} of a Rule takes a {noun}, but got {given}. Give it one of fallline.{noun.lower()}s, "
        f"for example Rule(EMA(0.9), SecondMoment(0.999), Constant(), Decoupled(0.01))."
    )
