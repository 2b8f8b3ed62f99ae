"""A row of the table: an optimizer that is timed, how it is built and what a step of it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from torch.nn import Parameter

LR, DECAY, MOMENTUM, SQUARES = 1e-6, 0.01, 0.9, 0.999  # every contender's, where it knows them
PEERS = {  # what is imported: what is installed
    "heavyball": "heavyball",
    "pytorch_optimizer": "pytorch-optimizer",
    "optimi": "torch-optimi",
    "schedulefree": "schedulefree",
}

Params = list[Parameter]
Build = Callable[[Params], Any]
Step = Callable[[], object]


def plain(opt: Any, params: Params) -> Step:
    """A step is opt.step()."""
    step: Step = opt.step
    return step


@dataclass(frozen=True)
class Row:
    """One contender. Those of a `group` are timed side by side, with torch's fused optimizer among them.

    buffers: how many it keeps that are as large as the parameters. against: a second row that it is compared with.
    """

    name: str
    label: str
    family: str
    group: str
    build: Build
    run: Callable[[Any, Params], Step] = plain
    package: str = "torch"
    buffers: float = 2.0
    against: str = ""
    compiled: bool = False
    drawn: bool = False

    @property
    def installed(self) -> bool:
        """Whether what it needs can be found."""
        return find_spec(self.package) is not None


def release(package: str) -> str | None:
    """The version of a package by the name of its import, None where it is not installed."""
    try:
        return version(PEERS.get(package, package))
    except PackageNotFoundError:
        return None
