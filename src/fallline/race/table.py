"""The results as a table for the terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from fallline.race.contender import NAMED
from fallline.race.store import Record
from fallline.race.verdict import WORDS, first


def number(x: float | None, spread: float | None) -> str:
    """Mean and spread; a diverged mean is infinite."""
    if x is None:
        return "inf (diverged)"
    return f"{x:.4f} ±{spread:.4f}" if spread is not None else f"{x:.4f}"


def difference(against: Record | None) -> str:
    """A signed percentage with its spread; negative is better than the other."""
    if against is None:
        return ""
    if against["difference"] is None:
        return "inf"
    if against["spread"] is None:
        return f"{100 * against['difference']:+.1f} %"
    return f"{100 * against['difference']:+.1f} ±{100 * against['spread']:.1f} %"


def cells(row: Record, winner: bool) -> list[str]:
    """One line of the table."""
    fixed, member = row["to_best_fixed"], row["to_bank"]
    return [
        f"[bold]{row['label']}[/]" if winner else row["label"],
        f"{row['lr']:g}",
        number(row["validation"], row["spread"]),
        ("" if row["contender"] == NAMED else "best fixed") if first(row) else difference(fixed),
        f"{difference(member)} ({member['other'].removeprefix('momentum ')})" if member else "",
    ]


def lowest(rows: list[Record]) -> Record | None:
    """The row with the lowest validation number."""
    return min((r for r in rows if r["validation"] is not None), key=lambda r: float(r["validation"]), default=None)


def standings(result: Record, schedule: str) -> Table:
    """The contenders under one schedule, each at its best lr, the lowest mean in bold."""
    rows = [row for row in result["rows"] if row["schedule"] == schedule]
    plan, winner, lost = result["plan"], lowest(rows), any(row["diverged_runs"] for row in rows)
    table = Table(
        title=f"{result['workload']}, {plan['optimizer']}, {WORDS[schedule].lower()}",
        caption=f"{result['metric']}, {plan['steps']} steps, seeds: {plan['seeds']}. ± is one standard deviation over "
        "seeds; differences are paired by seed, negative is better.",
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("contender", no_wrap=True)
    rival = plan["names"][0] if plan["names"] else "best fixed"
    names = ("best lr", "validation", f"vs {rival}", "vs bank, same lr", "diverged")
    for name in names if lost else names[:-1]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        line = [*cells(row, row is winner), str(row["diverged_runs"] or "")]
        table.add_row(*(line if lost else line[:-1]), end_section=ends_fixed(row, rows))
    return table


def ends_fixed(row: Record, rows: list[Record]) -> bool:
    """Whether this is the last of the fixed momenta."""
    fixed = [r for r in rows if r["contender"] == "fixed"]
    return bool(fixed) and row is fixed[-1]


def known(sheet: Record, faults: list[str]) -> Table:
    """A table of what is known of a workload."""
    table = Table(
        title=sheet["title"],
        caption="differs from what is known" if faults else "as is known",
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in (sheet["corner"], *sheet["columns"]):
        table.add_column(name, justify="right")
    for name, values in zip(sheet["rows"], sheet["values"], strict=True):
        table.add_row(name, *values)
    return table
