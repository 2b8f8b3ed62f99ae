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
            cells = (
                name,
                sized(shape),
                seen(rule.view, shape) if rule.matrix else "",
                role,
                number,
                lengths(rule, shape),
            )
            rows.append((*map(str, cells), reason))
    return rows, rules


def lengths(rule: Rule, shape: tuple[int, ...]) -> str:
    """What the shapes of a weight's matrices, a weighted norm, and the radius of a ball multiply lr by."""
    shapes = [] if not rule.metric.matrix or rule.view.misfit(shape) else rule.view.shapes(shape)
    radius = getattr(rule.combine, "radius", 1.0)
    found = [radius * length(rule.metric, m, n) for _, m, n in shapes] or [radius * length(rule.metric)]
    return " + ".join(dict.fromkeys(f"{x:.3g}" if x < 1000 else f"{x:.0f}" for x in found))


def length(part: Any, *shape: int) -> float:
    """The factor that a metric, and the metrics inside it, have at a shape; without one, what needs none."""
    own = float(part.factor(*shape)) if shape and callable(getattr(part, "factor", None)) else 1.0
    inner, weight = getattr(part, "metric", None), getattr(part, "s", 1.0)
    return own / weight * (length(inner, *shape) if isinstance(inner, Part) else 1.0)
