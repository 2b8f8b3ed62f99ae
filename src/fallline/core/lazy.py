"""Lazy: a package's names are loaded when they are asked for, so that importing fallline stays quick."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def lazy(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package whose stub `__init__.pyi` says what comes from where.

    The stub is what type checkers read, so that every name is written once.

    >>> load, _, names = lazy("fallline.steps", sys.modules["fallline.steps"].__file__)
    >>> "Constant" in names, load("Constant")()
    (True, Constant())
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    origins = (node for node in stub.body if isinstance(node, ast.ImportFrom))
    homes = {alias.name: "." * node.level + (node.module or "") for node in origins for alias in node.names}

    def load(name: str) -> Any:
        if name not in homes and (name.startswith("_") or not find_spec(f"{package}.{name}")):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = (
            getattr(import_module(homes[name], package), name) if name in homes else import_module(f"{package}.{name}")
        )
        setattr(sys.modules[package], name, found)  # the next time nobody asks
        return found

    names = sorted(homes)
    return load, lambda: names, names
