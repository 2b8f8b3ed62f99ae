"""For all hosts: an ear, and when it is asked for rows and for its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ..listen import Ear, log, told
from .record import Writer


class Listener:
    """What the hosts' callbacks share: `begin`, then a `row` of numbers where it is `due`, and `end`.

    every, window, batch: as of `fallline.listen`. log_every: steps between two rows, each of which takes some tenths of
    a second; None for none. writer: takes rows besides the host's own. out: the folder of the report; None for none.
    Afterwards `ear` and `outcome` hold what was heard.
    """

    def __init__(
        self,
        every: int = 1,
        window: int = 64,
        batch: float | None = None,
        log_every: int | None = 200,
        out: str | Path | None = "runs/listen",
        writer: Writer | None = None,
        prefix: str = "listen",
    ) -> None:
        if log_every is not None and log_every < 1:
            raise ValueError(f"Invalid log_every: {log_every!r}; give a number of steps, or None for no rows.")
        self.every, self.window, self.batch, self.log_every = every, window, batch, log_every
        self.out, self.writer, self.prefix = out, writer, prefix
        self.ear: Ear | None = None
        self.outcome: Any = None
        self._told = 0  # the step of the last row

    def begin(self, model: nn.Module, step: int) -> None:
        """Once the parameters are where they stay."""
        self.stop()  # of a training that broke
        self._told = step
        self.ear = Ear(model, self.every, self.window, self.batch).__enter__()

    def due(self, step: int) -> bool:
        """Whether enough steps have passed since the last row."""
        return self.ear is not None and self.log_every is not None and step >= self._told + self.log_every

    def row(self, host: Writer, step: int, first: bool) -> None:
        """To the host, and, in the first of several processes, to the writer."""
        if self.ear is not None:
            self._told = step
            log(self.ear, host, *([self.writer] if self.writer is not None and first else []), step=step)

    def stop(self) -> None:
        """Hear no more."""
        if self.ear is not None:
            self.ear.__exit__()

    def end(self, name: str) -> None:
        """Hear no more, and report."""
        self.stop()
        if self.ear is not None and self.out is not None:
            self.outcome = told(self.ear, self.out, name)
