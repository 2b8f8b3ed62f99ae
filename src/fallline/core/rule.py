"""Rule: one sentence that says how a gradient changes a parameter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, final

import torch
from torch import Tensor

from .border import dtensor, near, shard, spread
from .chooser import Chooser, check_choosers
from .error import SlotError, narrow, stranger
from .field import Field, shards, tensors_of
from .mask import mapped
from .memory import Memory, State, allocate, real, wider
from .part import Combine, Filter, Map, Metric, Part, Step, kind
from .shard import parts, whole
from .view import View
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
NEAREST, AS_IT_IS = Nearest(), View()
SEEN = ("before", "metric", "after")  # the slots between which a field stays a stack
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
    `view` says how parts that are not elementwise see a weight as matrices.

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
    view: View = AS_IT_IS

    def __post_init__(self) -> None:
        for slot, wanted in SLOTS.items():
            part = getattr(self, slot)
            if not isinstance(part, wanted) and not (part is None and wanted is Map):
                raise SlotError(stranger(slot, wanted, part, SLOTS))
        check_choosers(self)
        if self.state_dtype not in (torch.float32, torch.float64):
            raise ValueError(narrow(self.state_dtype))

    def __str__(self) -> str:
        words = " → ".join(map(str, self._said()))
        return words if self.state_dtype is torch.float32 else f"{words}, in {str(self.state_dtype)[6:]}"

    def _said(self) -> list[Part]:
        return [part for part in self.parts.values() if part != NEAREST]  # which goes without saying

    @property
    def recipe(self) -> str:
        """The kinds of parts without their numbers: what a checkpoint must have in common with its reader.

        >>> from fallline import Bank, Constant, Decoupled, Euclid, Greedy
        >>> Rule(Bank((0.5, 0.9), Greedy()), Euclid(), Constant(), Decoupled(0.01)).recipe
        'Bank(Greedy(global), UnitGain) → Euclid → Constant → Decoupled'
        """
        return " → ".join(map(kind, self._said()))

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
        """Whether all that measure judge on a sample, so that they can decide before anybody has seen everything."""
        judges = [part.runs(SIZE) is not None for part in self.choosers.values() if part.measures]
        return bool(judges) and all(judges)

    def computes_in(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype of memory and arithmetic for weights of a (real) dtype: never narrower than they."""
        return wider(dtype, self.state_dtype)

    def rounds(self, p: Tensor) -> bool:
        """Whether results have to be rounded into p."""
        return self.computes_in(p.dtype.to_real()) != p.dtype.to_real()

    @lru_cache(maxsize=256)  # noqa: B019  # rules are small and equal rules are one
    def layout(self, dtype: torch.dtype) -> Layout:
        """What the state of weights of this dtype consists of."""
        p = self.example(dtype, SIZE)
        decided = {f"{s}.{name}" for s, part in self.choosers.items() for name in part.decisions(p.device)}
        state = {key: x for key, x in self.state(p).items() if key != "step"}
        apart = {key: x.shape != p.shape or _slot(key) in self.wholes for key, x in state.items()}
        fields = {key: (x.dtype, apart[key]) for key, x in state.items() if x.dim() and key not in decided}
        return Layout(fields, tuple(key for key in state if key not in fields))

    @property
    def elementwise(self) -> bool:
        """Whether every part treats each coordinate for itself, so that parts of a tensor may walk alone."""
        return all(part.elementwise for part in self.parts.values())

    @cached_property
    def matrix(self) -> bool:
        """Whether some part works on matrices, so that only what a view can see may obey this rule."""
        return any(part.matrix for part in self.parts.values())

    @cached_property
    def stacked(self) -> bool:
        """Whether metric and maps see a weight as a stack of matrices."""
        return any(part.matrix for slot, part in self.parts.items() if slot != "write")

    @cached_property
    def wholes(self) -> tuple[str, ...]:
        """The slots of parts that see whole tensors; what they remember is the same on all processes."""
        seen = SEEN if self.stacked else ()
        return (*seen, *(slot for slot, part in self.parts.items() if not part.elementwise))

    def sees(self, slot: str, x: Field) -> Field:
        """A field as the part of a slot sees it."""
        stacked = self.stacked if slot in SEEN else self.parts[slot].matrix
        x = whole(x) if stacked or not self.parts[slot].elementwise else x
        return self.view.open(x) if stacked else x

    def example(self, dtype: torch.dtype, size: int = 1, device: str | None = None) -> Tensor:
        """A weight that stands for any that the rule may move, with so many coordinates or more."""
        return self.view.example(dtype, device) if self.matrix else torch.empty(size, dtype=dtype, device=device)

    def state(self, p: Tensor) -> dict[str, Tensor]:
        """What a new parameter's state holds, in flat keys; what is decided per scope comes with it."""
        seen = real(near(p.detach()))
        wide = seen.to(self.computes_in(seen.dtype))
        wide = shards([wide], [shard(p)]) if dtensor(p) and self.wholes else wide
        memories = {slot: self._memory(slot, wide) for slot in self.parts if slot != "write"}
        memories["write"] = self.write.memory(seen) if self.rounds(p) else {}
        for slot, part in self.choosers.items():
            memories[slot] = memories[slot] | part.decisions(p.device)
        made = allocate(p, memories)
        if not dtensor(p):
            return made
        whole = self.state(torch.empty(p.shape, dtype=p.dtype, device="meta"))
        fields = {key: few for key, (_, few) in self.layout(seen.dtype).fields.items() if _slot(key) not in self.wholes}
        return spread(p, made, fields, {key: whole[key].shape for key in fields})

    def _memory(self, slot: str, p: Field) -> dict[str, Tensor]:
        seen, part = tensors_of(self.sees(slot, p)), self.parts[slot]
        if len(seen) == 1:
            return part.memory(seen[0])
        if any(part.memory(piece) for piece in seen):
            raise SlotError(
                f"{part} remembers something of each matrix, but the view {self.view} cuts a weight into matrices of "
                "several shapes. Cut it into equal ones, one for each head: roles(model, heads=True)."
            )
        return {}

    def gradient(self, g: Field, p: Field, mem: dict[str, Memory], t: Tensor) -> Field:
        """The gradient that filter and metric see."""
        return self.combine.gradient(g, self.open(p, mem, t), mem["combine"], t)

    def remember(self, g: Field, mem: dict[str, Memory], t: Tensor, lr: float | Tensor) -> None:
        """Step, filter, maps and metric take in the gradient."""
        self.step.observe(lr, self.sees("step", g), mem["step"], t)
        weighed = self.weighed(g, mem, t)
        self.filter.remember(self.sees("filter", weighed), mem["filter"], t)
        self.learn(g if self.step.inward else weighed, mem, t)

    def learn(self, g: Field, mem: dict[str, Memory], t: Tensor) -> None:
        """Metric and maps take in the gradient."""
        for slot in SEEN:
            if (part := getattr(self, slot)) and part.observes:
                part.observe(self.sees(slot, g), mem[slot], t)

    def weighed(self, g: Field, mem: dict[str, Memory], t: Tensor) -> Field:
        """What the filter takes in of a gradient, and maps and metric unless the step works `inward`."""
        return self.step.gradient(g, mem["step"], t)

    def apply(self, p: Field, g: Field, mem: dict[str, Memory], t: Tensor, lr: float | Tensor) -> None:
        """Direction, step, parameters, rounding. Here is the library's one minus sign."""
        g = self.weighed(g, mem, t)
        u = self.filter.output(self.sees("filter", g), mem["filter"], t)
        u = u if self.filter.matrix else self.sees("metric", u)
        work = self.open(p, mem, t)
        w = self.sees("combine", work)
        u = self.combine.tangent(u, w, mem["combine"], t)
        u = mapped(self, "before", u, g, mem, t)
        if self.metric.floored and (unit := self.step.unit(mem["step"])) is not None:
            mem["metric"].unit.copy_(unit)
        d = mapped(self, "after", self.metric.direction(u, mem["metric"], t), g, mem, t)
        size = self.step.size(lr, u, d, mem["step"], t)
        move, size = d.mul(-size), self.step.scale(mem["step"]) * lr if self.step.inward else size
        if self.stacked and not self.combine.matrix:
            move, size = self.view.close(move, work), parts(self.view.spread(size, d, work), w)
        self.combine.fade(w, lr, mem["combine"], t)
        self.combine.enter(w, parts(move, w), size, mem["combine"], t)
        if w is not work:
            work.copy_(parts(self.view.close(w, work) if self.combine.matrix else w, work))
        if work is not p:
            self.write.close(p, work, mem["write"], t)

    def settled(self, p: Field, mem: dict[str, Memory], t: Tensor) -> Field:
        """The weights that are trained, of those that the parameters hold."""
        work = self.open(p, mem, t)
        x = self.combine.settled(self.sees("combine", work), mem["combine"], t)
        return parts(self.view.close(x, work) if self.combine.matrix else x, work)

    def open(self, p: Field, mem: dict[str, Memory], t: Tensor) -> Field:
        """The weights as the rule computes with them: p itself where it is wide enough."""
        dtype = self.computes_in(p.dtype)
        return p if dtype == p.dtype else self.write.open(p, dtype, mem["write"], t)


def _slot(key: str) -> str:
    return key.partition(".")[0]


def ours(state: State) -> set[str]:
    """The keys that belong to rules; wrappers and users may keep things of their own beside them."""
    return {key for key in state if key == "step" or _slot(key) in SLOTS}
