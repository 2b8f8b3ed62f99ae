"""Composed: the rules of an optimizer's groups, composed anew only when something has changed that they depend on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .section import Section

Group = dict[str, Any]

PLAIN = (float, int, bool, str, tuple)
# What no rule depends on: of a group, and of the optimizer.
QUIET = {
    "params",
    "param_names",
    "lr",
    "skipped",
    "skipped_in_a_row",
    "chosen",
    "rest_chosen",
    "effective_lr",
    "format",
    "recipe",
    "evaluated",
}
QUIET |= {"why", "state", "param_groups", "defaults"}


class Composed:
    """Remembers each group's numbers and the sections that they made."""

    def __init__(self) -> None:
        self.said: list[tuple[Group, list[Section]]] = []

    def sections(self, opt: Any, make: Callable[[Group], list[Section]]) -> list[Section]:
        """The sections of every group, from the group's numbers and the optimizer's options."""
        options = {name: x for name, x in vars(opt).items() if name[0] != "_" and name not in QUIET}
        found = []
        for i, group in enumerate(opt.param_groups):
            numbers = (
                options | {key: x for key, x in group.items() if key not in QUIET} | {"params": len(group["params"])}
            )
            known = i < len(self.said) and _same(numbers, self.said[i][0])
            found.append(self.said[i] if known else (numbers, make(group)))
        self.said = found
        told = zip(found, opt.param_groups, strict=True)
        return [Section(group, one.rule, one.places) for (_, sections), group in told for one in sections]


def _same(a: Group, b: Group) -> bool:
    """Whether two groups hold the same numbers; what is no number must be the same thing."""
    return a.keys() == b.keys() and all(x is b[key] or (type(x) in PLAIN and x == b[key]) for key, x in a.items())
