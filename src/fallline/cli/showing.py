"""`fallline show`: what every parameter of a model is, which rule it obeys at which factor, and why."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from fallline import roles
from fallline.cli.listing import registry
from fallline.core.descent import Descent
from fallline.core.roster import COLUMNS, roster
from fallline.zoo.routed import Routed

Where = Annotated[
    str | None, typer.Argument(help="file.py:name or package.module:name of a model, or of what makes one.")
]


def show(
    model: Where = None,
    optimizer: Annotated[str, typer.Option(help="One of `fallline list`.")] = "muon",
    demo: Annotated[bool, typer.Option("--demo", help="Show a small network with one layer of every kind.")] = False,
    heads: Annotated[bool, typer.Option("--heads", help="Cut queries, keys and values head by head.")] = False,
) -> None:
    """Show every parameter of a model: its role, rule, factor of the learning rate, and why."""
    try:
        if demo == (model is not None):
            raise ValueError("Name a model, such as train.py:model, or take --demo.")
        network = showcase() if model is None else found(model)
        table = roles(network, heads=heads)
        opt = built(optimizer, network, table)
    except (ValueError, TypeError, ImportError, AttributeError, OSError) as error:
        Console(stderr=True).print(f"[red]{error}[/]", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    why = opt.why if isinstance(opt, Routed) else [[entry.why for entry in table]]
    for group in opt.param_groups:
        group.setdefault("roles", tuple(str(entry.role) for entry in table))
    tell(*roster(opt.param_groups, opt._sections(), why))


def tell(rows: list[tuple[str, ...]], rules: dict[str, int]) -> None:
    """Print the roster, and the rules by their numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold", no_wrap=column != "why")
    for row in rows:
        table.add_row(*row, style=None if row[2] else "dim")
    console = Console()
    console.print(table)
    for words, number in rules.items():
        console.print(f"{number}: {words}", highlight=False, soft_wrap=True)


def built(name: str, network: nn.Module, table: Any) -> Descent:
    """The named optimizer of the network's parameters."""
    known = registry()
    if name not in known:
        raise ValueError(f"Unknown optimizer {name}; choose one of {', '.join(sorted(known))}.")
    build: Callable[..., Any] = known[name].build
    kind = getattr(build, "func", build)
    options = {"roles": table} if isinstance(kind, type) and issubclass(kind, Routed) else {}
    opt: Descent = build(list(network.named_parameters()), **options)
    return opt


def found(where: str) -> nn.Module:
    """The model that a name leads to; what is no model yet is called."""
    place, _, name = where.rpartition(":")
    if not place:
        raise ValueError(f"{where!r} names no model; write file.py:name or package.module:name.")
    given = getattr(_module(place), name)
    model = given if isinstance(given, nn.Module) else given()
    if not isinstance(model, nn.Module):
        raise TypeError(f"{where} is {type(model).__name__}, not a torch.nn.Module.")
    return model


def _module(place: str) -> Any:
    if not place.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    path = Path(place).resolve()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise FileNotFoundError(f"There is no file {place}.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[path.stem] = module  # classes defined there look themselves up
    spec.loader.exec_module(module)
    return module


def showcase() -> nn.Module:
    """One layer of every kind."""
    with torch.device("meta"):
        return nn.ModuleDict(
            {
                "tokens": nn.Embedding(1000, 64),
                "positions": nn.Embedding(128, 64),
                "picture": nn.Conv2d(3, 64, 8, 8),
                "depthwise": nn.Conv2d(64, 64, 3, groups=64),
                "grouped": nn.Conv2d(64, 64, 3, groups=4),
                "upward": nn.ConvTranspose2d(64, 32, 2),
                "memory": nn.LSTM(64, 32),
                "attention": nn.MultiheadAttention(64, 4),
                "up": nn.Linear(64, 256),
                "down": nn.Linear(256, 64),
                "norm": nn.LayerNorm(64),
                "head": nn.Linear(64, 1000, bias=False),
            }
        )
