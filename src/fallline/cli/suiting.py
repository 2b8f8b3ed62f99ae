"""`fallline race suite`: reads the options, shows progress, prints the scores."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import Progress
from rich.table import Table

from fallline.cli.racing import console, progress
from fallline.race.store import Record
from fallline.race.suite.chart import profiles
from fallline.race.suite.chart import shift as picture
from fallline.race.suite.page import columns, order, page, score_row
from fallline.race.suite.result import result
from fallline.race.suite.suite import Suite

TOO_WIDE = ("5 %", "by time", "regret, c", "regret, h", "within 2 %, a")  # for eighty columns; suite.md has them
Names = Annotated[str | None, typer.Option(help="Some of them, separated by commas.", show_default="all")]


def words(text: str | None) -> tuple[str, ...]:
    """Comma-separated names; none for None."""
    return tuple(word.strip() for word in text.split(",")) if text else ()


def suite(
    problems: Names = None,
    entrants: Names = None,
    seeds: Annotated[int, typer.Option(min=0, help="How many seeds; 0 is the default: 3, with --quick 1.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed, half the steps, thin sweeps: five minutes.")
    ] = False,
    shift: Annotated[bool, typer.Option("--shift", help="Also with learning rates wrong by up to 10 times.")] = False,
    ablate: Annotated[bool, typer.Option("--ablate", help="Also Auto with each of its parts changed.")] = False,
    budget: Annotated[float, typer.Option(min=0, help="Hours after which no run starts; 0 is no limit.")] = 0.0,
    data: Annotated[Path | None, typer.Option(help="Folder of Fashion-MNIST's files: two more problems.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("runs/suite"),
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one per core.")] = 0,
) -> None:
    """Run every optimizer on every problem of the suite and score them. Interrupted, it goes on where it stopped."""
    contest = Suite(out, words(problems), words(entrants), seeds, quick, data, workers or os.cpu_count() or 1, budget)
    try:
        for name, reason in contest.skipped.items():
            console.print(f"Without {name}: {reason}.", highlight=False, soft_wrap=True)
        (out / "runs").mkdir(parents=True, exist_ok=True)
        with progress() as bar:
            told = result(contest, meter(bar, contest), shift, ablate)
    except (ValueError, OSError) as error:  # TimeoutError among them
        console.print(f"[red]{error}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    show(told, out)


def show(told: Record, out: Path) -> None:
    """The scores, and where the rest lies."""
    console.print(standings(told))
    written = [out / "results.json", out / "suite.md", profiles(told, out / "profile.png")]
    (out / "suite.md").write_text(page(told), encoding="utf-8")
    if told["shift"]:
        written.append(picture(told, out / "shift.png"))
    console.print("\n".join(f"Written: {path}" for path in written), highlight=False, soft_wrap=True)


def standings(told: Record) -> Table:
    """Scores and regrets, the best first."""
    caption = "score: area under the performance profile; regret: worst final loss against tuned AdamW's."
    table = Table(
        title="The suite",
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    names = columns(told)
    shown = [k for k, name in enumerate(names) if not name.startswith(TOO_WIDE)]
    for k in shown:
        head = names[k].replace(", ", "\n").replace("held ", "held\n").replace("within ", "within\n")
        table.add_column(head, justify="right" if k else "left", no_wrap=True)
    for entrant in order(told):
        row = score_row(told, entrant)
        table.add_row(*(row[k] for k in shown))
    return table


def meter(bar: Progress, contest: Suite) -> Callable[[Record, bool], None]:
    """What moves the bar."""
    planned, seen = contest.size, count()
    job = bar.add_task("suite", total=planned, last="")

    def tick(record: Record, fresh: bool) -> None:
        one, end = record["trial"], "failed" if record["final"] is None else f"{record['final']:.4f}"
        total = max(planned, next(seen) + 1)  # wider sweeps and wrong learning rates come on top
        bar.update(job, total=total, advance=1, last=f"{one['problem']} {one['maker']} {end}" if fresh else "")

    return tick
