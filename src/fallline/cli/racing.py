"""`fallline race`: reads the options, shows progress, prints tables and verdicts."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fallline.cli.listing import registry
from fallline.race.picture import draw
from fallline.race.plan import Plan
from fallline.race.race import Race
from fallline.race.registry import ALIASES, WORKLOADS, expand
from fallline.race.store import Record
from fallline.race.table import known, standings

SCHEDULES = {"constant": ("constant",), "cosine": ("cosine",), "both": ("constant", "cosine")}
console = Console()


def numbers(text: str | None, option: str) -> tuple[float, ...]:
    """Comma-separated numbers; none for None."""
    try:
        return tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 1e-3,3e-3", param_hint=option) from None


def entrants(workload: list[str], optimizer: list[str] | None) -> tuple[list[str], str | None, tuple[str, ...]]:
    """Workloads, a family or None, and named optimizers: words after --optimizer that are no workload name them."""
    said = [word for text in optimizer or () for word in text.split(",")]
    names = [*said, *(word for word in workload if said and word in registry() and not known_workload(word))]
    family = names[0] if names in (["adamw"], ["sgd"]) else None
    rest = [word for word in workload if word not in names]
    return rest, family, () if family else tuple(names)


def known_workload(word: str) -> bool:
    """Whether it stands for one."""
    return word in WORKLOADS or word in ALIASES


WHO = (
    "adamw or sgd: that family's momenta, fixed and self-choosing; the default depends on the workload. "
    "Or names of `fallline list`: --optimizer muon scion normuon."
)
Lr = Annotated[str | None, typer.Option(help="Learning rates, separated by commas.")]
Momentum = Annotated[str | None, typer.Option(help="Fixed momenta, separated by commas.")]
Bank = Annotated[str | None, typer.Option(help="Candidates of the self-choosing optimizers, separated by commas.")]


def race(
    workload: Annotated[
        list[str],
        typer.Argument(help="digits, digits-mlp, digits-cnn, chars, quadratic, fashion, grokking, power-law."),
    ],
    optimizer: Annotated[list[str] | None, typer.Option(help=WHO)] = None,
    lr: Lr = None,
    momentum: Momentum = None,
    bank: Bank = None,
    schedule: Annotated[str, typer.Option(help="constant, cosine or both.")] = "both",
    seeds: Annotated[int, typer.Option(min=0, help="How many seeds; 0 is the default: 5, with --quick 3.")] = 0,
    steps: Annotated[int, typer.Option(min=0, help="Steps per run; 0 is the workload's default.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A sweep of about two minutes on two cores.")] = False,
    controls: Annotated[bool, typer.Option("--controls", help="Also replay recorded paths.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of the data files (fashion).")] = None,
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("runs"),
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one per core.")] = 0,
) -> None:
    """Race self-choosing optimizers against fixed momenta, or named ones. Interrupted, it goes on where it stopped."""
    workload, family, names = entrants(workload, optimizer)
    if schedule not in SCHEDULES:
        raise typer.BadParameter(f"{schedule!r}; choose constant, cosine or both", param_hint="--schedule")
    lrs, momenta, candidates = numbers(lr, "--lr"), numbers(momentum, "--momentum"), numbers(bank, "--bank") or None
    given = Plan("", family, lrs, momenta, candidates, SCHEDULES[schedule], seeds, steps, quick, controls, names)
    for contest in prepared(given, workload, out, data, workers or os.cpu_count() or 1):
        one(contest)


def prepared(given: Plan, workloads: list[str], out: Path, data: Path | None, workers: int) -> list[Race]:
    """The races, once all can begin; ends with a sentence where something cannot."""
    try:
        plans = [replace(given, workload=name).filled() for name in expand(workloads)]
        contests = [Race(plan, out, data, workers) for plan in plans]
        for contest in contests:
            contest.prepare()
    except (ValueError, OSError) as error:
        console.print(f"[red]{error}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    return contests


def one(contest: Race) -> None:
    """Run one workload and show what came of it."""
    with progress() as bar:
        # Under --quick tables of what is known are left to the full race: they alone take a minute.
        result = contest.result(meter(bar, contest), certify=not contest.plan.quick)
    for schedule in result["plan"]["schedules"]:
        console.print(standings(result, schedule))
    for sentence in result["verdicts"]:
        console.print(sentence, highlight=False, soft_wrap=True)
    if result["check"]:
        for sheet in result["check"]["tables"]:
            console.print(known(sheet, result["check"]["faults"]))
        for fault in result["check"]["faults"]:
            console.print(f"[red]{fault}[/]", highlight=False, soft_wrap=True)
    picture = draw(result, contest.folder / "race.png")
    console.print(f"Results: {contest.folder / 'results.json'}\nPicture: {picture}", highlight=False, soft_wrap=True)


def progress() -> Progress:
    """A bar with counts and times."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
        console=console,
    )


def meter(bar: Progress, contest: Race) -> Callable[[Record, bool], None]:
    """What moves the bar: finished runs count at once, fresh ones are named."""
    job = bar.add_task(contest.plan.workload, total=contest.size, last="")

    def tick(record: Record, fresh: bool) -> None:
        s = record["setting"]
        end = "diverged" if record["diverged"] else f"{record['validation']:.4f}"
        bar.update(job, advance=1, last=f"{record['label']} lr {s['lr']:g} {s['schedule']}: {end}" if fresh else "")

    return tick
