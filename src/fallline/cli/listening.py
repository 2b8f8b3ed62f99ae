"""`fallline listen`: runs a program with an ear on every model that it trains, and says what was heard."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from fallline.cli.program import Program, leave
from fallline.listen import Attached, Ear, Live, tables, told
from fallline.listen.outcome import FEW, rank

DEMO = {"digits-mlp": 250, "chars": 250}  # workloads of the race, and steps
RATE = 3e-3  # of their AdamW

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SCRIPT [ARGS]...]", help="What Python is to run; ARGS are its own.", show_default=False),
]


def listen(
    script: Words = None,
    module: Annotated[bool, typer.Option("-m", "--module", help="SCRIPT is a module, as in python -m.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Listen to two small trainings: about a minute.")] = False,
    every: Annotated[int, typer.Option(min=1, help="k > 1: hear one stretch of steps out of k.")] = 1,
    window: Annotated[int, typer.Option(min=1, help="The largest lag, in steps.")] = 64,
    batch: Annotated[float | None, typer.Option(help="Samples of a step, for critical batch sizes.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop hearing after so many steps.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Show what is heard while it trains.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("runs/listen"),
) -> None:
    """Run a script that trains, hear its gradients, and say which optimizer they ask for.

    Our options stand before the script, its own behind it: fallline listen --every 4 train.py --lr 1e-3
    """
    if demo == bool(script):
        refuse("Name a script to run, such as train.py, or take --demo.")
    if batch is not None and not batch > 0:
        refuse(f"Invalid --batch: {batch}; give the samples of one optimizer step, such as 256.")
    if demo:
        tell(dict(trained(every, window, steps, live)), (), out)
        return
    out = out.absolute()  # the program may go elsewhere
    program = Program(tuple(script or ()), module)
    if wrong := program.missing():
        refuse(wrong)
    attached = Attached(every, window, batch, steps)
    with attached, panel(attached, live):
        end = program.run()
    close(attached, end, out)
    leave(end)


def refuse(why: str) -> None:
    """Say what is wrong with the options, and stop."""
    Console(stderr=True).print(f"[red]{why}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(2)


def panel(attached: Attached, live: bool) -> AbstractContextManager[Any]:
    """The live one, if it is wanted."""
    return Live(attached) if live and rank() == 0 else nullcontext()


def close(attached: Attached, end: BaseException | None, out: Path) -> None:
    """Tell what was heard. Whatever goes wrong here, the program's own end must be seen."""
    if end is not None and not isinstance(end, SystemExit) and several():
        note("Of several processes this one failed, and the others may wait for it: what was heard is not told.")
        return
    try:
        tell(attached.ears, attached.notes, out)
    except Exception as error:
        note(f"What was heard cannot be told: {type(error).__name__}: {error}")


def tell(ears: Mapping[str, Ear], notes: tuple[str, ...] | list[str], out: Path) -> None:
    """Tables in the terminal and files in a folder, for each model; by the first process alone."""
    first = rank() == 0
    console = Console(quiet=not first)
    if not ears and first:
        note(
            "No optimizer of torch took a step in this process, so nothing was heard. What a script trains in "
            "processes of its own is not heard either: there, use fallline.listen(model) in the script."
        )
    for name, ear in ears.items():
        outcome = told(ear, out, name)
        console.rule(f"{name}: {ear.steps:,} steps")
        if outcome is None:
            console.print(f"Too few for error bars: at least {FEW} steps must be heard, and {ear.time} were.")
            continue
        console.print(tables(outcome.heard, outcome.recommendation))
        console.print("\n".join(f"Written: {path}" for path in outcome.written), highlight=False, soft_wrap=True)
    for text in notes if first else ():
        note(text)


def note(text: str) -> None:
    """A remark, beside the program's own output."""
    Console(stderr=True).print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)


def several() -> bool:
    """Whether other processes train along."""
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())


def trained(every: int, window: int, steps: int | None, live: bool) -> Iterator[tuple[str, Ear]]:
    """The demo: workloads of the race, trained by AdamW, and their ears."""
    from fallline.race.registry import WORKLOADS

    for name, count in DEMO.items():
        Console().print(f"Training {WORKLOADS[name].title} for {count} steps of AdamW ...", highlight=False)
        task: Any = WORKLOADS[name].task(0, None)
        opt = torch.optim.AdamW(task.parameters(), lr=RATE)
        attached = Attached(every, window, task.batch, steps)
        with attached, panel(attached, live):
            for _ in range(count):
                opt.zero_grad()
                task.loss().backward()
                opt.step()
        yield from ((name, ear) for ear in attached)
