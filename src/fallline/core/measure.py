"""Measure: the inner products that a rule's parts ask for, before they decide."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from .chooser import Aim, Chooser
from .field import Field
from .memory import Memory
from .rule import Rule


@dataclass(frozen=True)
class Moment:
    """A rule at one step: the gradient, what is remembered, the clock, lr, and the weights where steps look at them."""

    rule: Rule
    g: Field
    mem: dict[str, Memory]
    t: Tensor
    lr: float | Tensor
    p: Field | None = None

    def measure(self, early: bool = False) -> dict[str, Tensor]:
        """Each measuring part's share of the inner products, [tensors, numbers] by slot.

        early: of those parts that measure before the rule remembers, or of the others.
        """
        asked = {s: part for s, part in self.rule.choosers.items() if part.measures and part.early is early}
        return {s: part.measure(self.g, self.mem[s], self._aim(s, part), self.t) for s, part in asked.items()}

    def _aim(self, slot: str, part: Chooser) -> Aim:
        """What a part may ask while it measures."""
        rule, mem, t = self.rule, self.mem, self.t
        judge = Aim(part.judge, Memory({}), t, rule.view if part.judge.matrix else None) if part.judge else None
        if slot == "filter" and judge:
            return judge
        own = Aim(rule.metric, mem["metric"], t, rule.view if rule.stacked else None, judge=judge)
        if slot == "filter" or self.p is None:
            return own
        u = rule.filter.output(rule.weighed(self.g, mem, t), mem["filter"], t) if part.of_output else None
        return replace(own, u=u, lr=self.lr, p=rule.combine.moved(rule.open(self.p, mem, t), mem["combine"], t))
