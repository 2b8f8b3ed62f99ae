"""Roster: every parameter of an optimizer, which rule it obeys at which length, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .part import Part
from .role import role_of, seen, shape_of, sized
from .rule import Rule
from .section import Group, Section
from .table import aligned

COLUMNS = ("parameter", "shape", "seen as", "role", "rule", "factor", "why")


def printed(groups: list[Group], sections: list[Section], why: Sequence[Sequence[str]]) -> str:
    """The roster as text: a line for each parameter, then the rules by their numbers."""
    lines, rules = roster(groups, sections, why)
    return "\n".join([aligned(COLUMNS, lines), "", *(f"{i}: {words}" for words, i in rules.items())])


def roster(
    groups: list[Group], sections: list[Section], why: Sequence[Sequence[str]]
) -> tuple[list[tuple[str, ...]], dict[str, int]]:
    """Rows of the columns above, and the number of every rule in words."""
    rules: dict[str, int] = {}
    rows = []
    for g, group in enumerate(groups):
        obeyed = {i: s.rule for s in sections if s.group is group for i in s.places or range(len(s.params))}
        names = group.get("param_names") or [f"{g}.{i}" for i in range(len(group["params"]))]
        reasons = why[g] if g < len(why) and len(why[g]) == len(names) else [""] * len(names)
        roles = [role_of(word) for word in group.get("roles", ["other"] * len(names))]
        for i, (name, p, role, reason) in enumerate(zip(names, group["params"], roles, reasons, strict=True)):
            number = rules.setdefault(str(obeyed[i]), len(rules) + 1)
            shape, rule = shape_of(p), obeyed[i]
            cells = (name, sized(shape), seen(role, shape) if rule.matrix else "", role, number, lengths(rule, shape))
            rows.append((*map(str, cells), reason))
    return rows, rules


def lengths(rule: Rule, shape: tuple[int, ...]) -> str:
    """What the shape of a weight's matrices multiplies lr by."""
    shapes = [] if not rule.matrix or rule.view.misfit(shape) else rule.view.shapes(shape)
    found = dict.fromkeys(f"{length(rule.metric, m, n):.3g}" for _, m, n in shapes)
    return " + ".join(found) or "1"


def length(part: Any, m: int, n: int) -> float:
    """The factor that a metric, and the metrics inside it, have at this shape."""
    own = part.factor(m, n) if callable(getattr(part, "factor", None)) else 1.0
    inner = getattr(part, "metric", None)
    return float(own) * (length(inner, m, n) if isinstance(inner, Part) else 1.0)
