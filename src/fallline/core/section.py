"""Section: the parameters of one group that obey one rule. Groups are the user's and are never split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .border import dtensor
from .chooser import Chooser
from .rule import Rule

Group = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """Some parameters of a group and what they obey.

    places: which of the group's parameters, by their numbers; None for all of them.
    """

    group: Group = field(compare=False)
    rule: Rule
    places: tuple[int, ...] | None = None

    @property
    def params(self) -> list[Tensor]:
        """The parameters."""
        params: list[Tensor] = self.group["params"]
        return params if self.places is None else [params[i] for i in self.places]

    @property
    def trainable(self) -> list[Tensor]:
        """Those that have numbers to learn."""
        return [p for p in self.params if p.requires_grad and p.numel()]

    @property
    def live(self) -> list[Tensor]:
        """Those that take part in this step."""
        return [p for p in self.trainable if p.grad is not None]


def owned(sections: Iterable[Section]) -> list[tuple[Tensor, Rule]]:
    """Every parameter and its rule, in the order of the groups."""
    found: dict[int, list[tuple[int, Tensor, Rule]]] = {}
    for section in sections:
        row = section.places or range(len(section.params))
        found.setdefault(id(section.group), []).extend(
            (i, p, section.rule) for i, p in zip(row, section.params, strict=True)
        )
    return [(p, rule) for members in found.values() for _, p, rule in sorted(members, key=lambda one: one[0])]


def recipe(sections: Iterable[Section]) -> str:
    """The kinds of parts of a group's rules: what a checkpoint must have in common with its reader."""
    return "; ".join(dict.fromkeys(section.rule.recipe for section in sections))


def sentence(groups: list[Group], sections: list[Section]) -> str:
    """The rules in words, one line for each that differs."""
    lines: dict[str, dict[int, int]] = {}
    for section in sections:
        number = next(i for i, group in enumerate(groups) if group is section.group)
        at = lines.setdefault(str(section.rule), {})
        at[number] = at.get(number, 0) + (0 if section.places is None else len(section.places))
    return "\n".join(f"{_where(at, len(lines))}: {words}" for words, at in lines.items())


def _where(at: dict[int, int], lines: int) -> str:
    """Who obeys a sentence: groups by their numbers, or how many parameters of them."""
    if any(at.values()):
        return f"{sum(at.values())} parameters of groups {list(at)}"
    return "every group" if lines == 1 else f"groups {list(at)}"


def leads(sections: Iterable[Section]) -> list[Rule]:
    """The rules of a group whose momenta are shown: the first that chooses for matrices, then the first for the rest.

    Where none chooses, the first rule.
    """
    rules = [section.rule for section in sections]
    choosing = [rule for rule in rules if isinstance(rule.filter, Chooser)]
    found = [next((rule for rule in choosing if rule.matrix is kind), None) for kind in (True, False)]
    return [rule for rule in found if rule] or rules[:1]


def check_view(section: Section, name: str) -> None:
    """Raise where a rule for matrices is to move what is none."""
    rule = section.rule
    for p in section.params:
        if not p.requires_grad:
            continue
        number = next(i for i, other in enumerate(section.group["params"]) if other is p)
        names = section.group.get("param_names")
        unseen = ("it is complex" if p.is_complex() else rule.view.misfit(tuple(p.shape))) if rule.matrix else None
        taken = _taken(p) if rule.matrix else None
        if why := taken or unseen or (None if dtensor(p) else rule.combine.misfit(p)):  # of shards nobody sees all
            raise ValueError(
                f"{name} cannot move {repr(names[number]) if names else f'parameter {number}'} by {section.rule}: "
                f"{why}. Give it another role, or leave it to another optimizer."
            )


def check_together(section: Section, name: str) -> None:
    """Raise where parameters that move as one thing are not all here in this step, or are not alike."""
    params, here = section.params, section.live
    if not section.rule.combine.together or not here:
        return
    alike = len({(p.dtype, p.device) for p in params}) == 1
    if len(here) == len(params) and alike:
        return
    shapes = " and ".join(str(tuple(p.shape)) for p in params)
    why = "only some of them have a gradient" if alike else "they differ in dtype or device"
    raise RuntimeError(
        f"{name} moves the weights of shapes {shapes} together by {section.rule.combine}, but {why}. Train all of them "
        "alike, or give each another role."
    )


def _taken(p: Tensor) -> str | None:
    """Why a matrix cannot be moved that is not here."""
    if p.numel() or not hasattr(p, "ds_shape"):
        return None
    return f"ZeRO-3 has taken its {tuple(p.ds_shape)} numbers away, and norms need whole matrices. Use DDP or FSDP2"
