"""What a report says, as rows for dashboards: numbers at every call, and words, which rarely change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Protocol

from ..core.descent import Descent

OF_A_GROUP, OF_A_CHOICE = ("lr", "effective_lr", "momentum"), ("margin", "switches")


class Writer(Protocol):
    """Where rows go. `TensorBoard` and `WandB` are such writers; one of your own needs these two methods."""

    def numbers(self, row: Mapping[str, float], step: int) -> None:
        """Names and values at a step."""

    def words(self, row: Mapping[str, str], step: int) -> None:
        """Names and texts at a step; mostly those of the last call."""


def record(optimizer: Any, *writers: Writer, step: int | None = None) -> None:
    """Tell writers what an optimizer's report says now; step: None for the optimizer's own count.

    Waits for the device, as `report` does: call it every 50 steps or so. TypeError for an optimizer of somebody else.

    >>> import torch
    >>> from fallline import AdamW
    >>> class Printer:
    ...     def numbers(self, row, step): print(step, row["group0/momentum"], row["skipped"])
    ...     def words(self, row, step): print(step, row["group0/route"])
    >>> record(AdamW([torch.nn.Parameter(torch.ones(9))], betas=("auto", 0.999)), Printer())
    0 0.5 0.0
    0 none yet
    """
    told = (found := descent(optimizer)).report()
    at = told["step"] if step is None else step
    for writer in writers:
        writer.numbers(dict(numbers(found, told)), at)
        writer.words(dict(words(found, told)), at)


def descent(optimizer: Any) -> Descent:
    """The optimizer of ours inside a host's wrapper, such as Accelerate's; TypeError where there is none."""
    found = optimizer
    while not isinstance(found, Descent) and hasattr(found, "optimizer"):
        found = found.optimizer
    if not isinstance(found, Descent):
        raise TypeError(
            f"Only an optimizer of Fallline can report what it chose, but this is {type(found).__name__}. "
            "Train with fallline.AdamW or another of `fallline list`, or leave the callback or writer out."
        )
    return found


def numbers(optimizer: Descent, told: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a report under flat names: non-finite steps and bytes, then group by group what was chosen."""
    yield "skipped", float(told["skipped"])
    yield "state_bytes", float(told["state_bytes"])
    for name, group in _named(optimizer, told):
        for at, said in ((name, group), (f"{name}/rest", group.get("rest", {}))):
            yield from _of_a_group(at, said)


def _of_a_group(name: str, group: dict[str, Any]) -> Iterator[tuple[str, float]]:
    yield from ((f"{name}/{key}", float(group[key])) for key in OF_A_GROUP if key in group)
    if scopes := list(group.get("parameters", {}).values()) or [group] * ("pay" in group):
        yield from ((f"{name}/{key}", value) for key, value in _chosen(group["candidates"], scopes))


def words(optimizer: Descent, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The words of a report: the rule; of each group its route in the last step, and how much a choice rests on."""
    yield "rule", told["rule"]
    for name, group in _named(optimizer, told):
        yield f"{name}/route", group["route"] or "none yet"
        if "evidence" in group:
            yield f"{name}/evidence", group["evidence"]


def _named(optimizer: Descent, told: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each group's report by the group's `name`, or by its number where it has none of its own."""
    names = [str(group.get("name", f"group{i}")) for i, group in enumerate(optimizer.param_groups)]
    for i, (name, said) in enumerate(zip(names, told["groups"], strict=True)):
        yield name if names.count(name) == 1 else f"group{i}", said


def _chosen(candidates: list[Any], scopes: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """What the choice rests on; where every parameter chooses, the medians, and how far the momenta are apart."""
    for k, candidate in enumerate(candidates):
        if pays := [scope["pay"][k] for scope in scopes if "pay" in scope]:
            yield f"pay/{candidate}", float(median(pays))
    for key in OF_A_CHOICE:
        if values := [scope[key] for scope in scopes if key in scope]:
            yield key, float(median(values))
    if len(scopes) > 1:
        momenta = [scope["momentum"] for scope in scopes]
        yield from (("momentum/smallest", min(momenta)), ("momentum/largest", max(momenta)))
