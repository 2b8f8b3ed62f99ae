"""The typer app and its commands."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fallline.cli.listening import listen
from fallline.cli.listing import entries
from fallline.cli.racing import race
from fallline.cli.showing import show
from fallline.cli.suiting import suite


class Words(TyperGroup):
    """Commands of one word, or of two."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """`race suite` before `race`."""
        pair = " ".join(args[:2])
        return super().resolve_command(ctx, [pair, *args[2:]] if pair in self.commands else args)


app = typer.Typer(
    name="fallline",
    cls=Words,
    help="Optimizers that choose their own hyperparameters while they train.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(race)
app.command("race suite")(suite)
app.command(context_settings={"allow_interspersed_args": False})(listen)  # what follows the script is its own
app.command("list")(entries)
app.command()(show)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        import fallline

        typer.echo(f"fallline {fallline.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Optimizers that choose their own hyperparameters while they train."""
