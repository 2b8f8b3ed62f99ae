"""The entry point; without the extra `race` it says how to get it."""

import sys
from collections.abc import Callable

EXTRA = {"typer", "rich", "matplotlib", "sklearn", "numpy", "click", "shellingham"}


def missing(module: str) -> Callable[[], None]:
    """A stand-in for the command line that names what is not installed."""

    def tell() -> None:
        sys.exit(f'The command line needs {module}, which is not installed. Run: pip install "fallline[race]"')

    return tell


def load() -> Callable[[], None]:
    """The typer app, or the stand-in."""
    try:
        from fallline.cli.command import app
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        return missing(error.name)
    return app


app = load()

if __name__ == "__main__":
    app()
