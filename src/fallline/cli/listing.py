"""`fallline list`: the named optimizers."""

from typing import Any

from rich.console import Console
from rich.table import Table


def registry() -> dict[str, Any]:
    """Fallline's named optimizers by name; empty where the zoo keeps no registry."""
    try:
        from fallline.zoo.registry import REGISTRY
    except ModuleNotFoundError as error:
        if error.name != "fallline.zoo.registry":
            raise
        return {}
    return dict(REGISTRY)


def entries() -> None:
    """List the named optimizers: name, what they are made of, paper."""
    found = registry()
    console = Console()
    if not found:
        console.print("No named optimizers are registered.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "sentence", "paper"):
        table.add_column(column, overflow="fold")
    for name, entry in sorted(found.items()):
        table.add_row(name, str(entry.sentence), str(entry.paper))
    console.print(table)
