"""Shown: what was heard and advised, as tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from . import quantity
from .advice import KEEP, Advice, Recommendation
from .estimate import Estimate, Heard, Reading
from .report import evidence, facts, lacking
from .word import UNKNOWN, interval, number, setting, share

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

COLUMNS = 3  # scopes beside one another


def tables(heard: Heard, recommendation: Recommendation | None = None, parameters: bool = False) -> Group:
    """The advice first, then total and roles; `parameters`: a line for each of them, too. For `rich.print`."""
    try:
        from rich.console import Group
        from rich.text import Text
    except ModuleNotFoundError as error:
        raise lacking("A table", error) from error
    parts: list[RenderableType] = [*advised(recommendation)] if recommendation else []
    parts += [Text("What was heard", "bold"), *(Text(f"{name}: {text}", "dim") for name, text in facts(heard)), Text()]
    scopes = [heard.total, *heard.roles.values()]
    parts += [summary(scopes[i : i + COLUMNS]) for i in range(0, len(scopes), COLUMNS)]
    parts += list(alarms(heard))
    if parameters and heard.parameters:
        parts.append(single(heard.parameters.values()))
    parts.append(Text(f"Below each number: where the true one is in {share(heard.level)} of such runs.", "dim"))
    return Group(*parts)


def advised(recommendation: Recommendation) -> Iterator[RenderableType]:
    """What to change, each with its reasons below."""
    from rich.padding import Padding
    from rich.text import Text

    yield Text("What to change" if recommendation.changes else "What to change: nothing, keep what you have", "bold")
    for one in recommendation.advice:
        kind = "keep" if one.change == KEEP else one.change
        yield Text.assemble((f"{one.scope}, {kind}: ", "cyan"), (one.what, "bold"))
        yield Padding(Text(one.why), (0, 0, 0, 2))
        yield Padding(Text("\n".join(reasons(one)), "dim"), (0, 0, 0, 2))
    yield Text()


def reasons(one: Advice) -> Iterator[str]:
    """Effect, evidence, how sure, settings, source."""
    if one.effect:
        yield f"effect: {one.effect}"
    yield f"evidence: {evidence(one)}" + ("" if one.sure != one.sure else f"; how sure: {share(one.sure)}")
    if one.settings:
        words = (f"{name} = {setting(x)}" for name, x in one.settings.items())
        yield f"settings: {', '.join(words)}"
    yield f"source: {one.source}"


def summary(scopes: Sequence[Reading]) -> Table:
    """Quantities as rows, scopes as columns."""
    sheet = ruled("", ("", *(r.name for r in scopes)))
    for what in quantity.SUMMARY:
        found = [what.read(r) for r in scopes]
        if any(e is not None for e in found):
            sheet.add_row(what.label, *map(cell, found))
    sheet.add_row("momentum in use", *(number(r.momentum) for r in scopes))
    return sheet


def cell(e: Estimate | None) -> Text:
    """A number, and its interval below."""
    from rich.text import Text

    if e is None or e.value != e.value:
        return Text(UNKNOWN, "dim")
    return Text.assemble(number(e.value), "\n", (interval(e), "dim"))


def alarms(heard: Heard) -> Iterator[RenderableType]:
    """A line for each change."""
    from rich.text import Text

    for one in heard.changes:
        yield Text(f"Changed before step {one.step}: {one.statistic} of {one.scope}, risk {share(one.risk)}.", "yellow")


def single(parameters: Iterable[Reading]) -> Table:
    """A line for each parameter."""
    from rich.text import Text

    columns = (quantity.NOISE_SCALE, quantity.DIAGONAL, quantity.UPDATE)
    sheet = ruled("Every parameter", ("parameter", "size", *(q.label for q in columns)))
    for r in parameters:
        found = [q.read(r) for q in columns]
        sheet.add_row(Text(r.name), f"{r.numel:,}", *("" if e is None else number(e.value) for e in found))
    return sheet


def ruled(title: str, names: Sequence[str]) -> Table:
    """An empty table: a rule below its head, numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    sheet = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(names):
        sheet.add_column(Text(name), justify="right" if i else "left", overflow="fold")
    return sheet
