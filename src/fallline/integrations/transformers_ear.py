"""For the transformers Trainer: a callback that hears the gradients, whatever the optimizer, and reports on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..listen import Ear, log, told
from .entry import Entry
from .record import Writer


class ListenCallback(TrainerCallback):
    """Listens while the Trainer trains: `Trainer(..., callbacks=[ListenCallback(batch=256)])`.

    every, window, batch: as of `fallline.listen`; batch is what one optimizer step sees, of all devices together.
    log_every: rows go into the Trainer's log when it logs, but not before so many steps have passed since the last
    ones, which took some tenths of a second; None for none. writer: takes them, too, since the Trainer's own dashboards
    have written before it asks callbacks of others. out: the folder of the report, written as training ends; None for
    none. Afterwards `ear` and `outcome` hold what was heard.
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

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Now the parameters are where they stay."""
        if self.ear is not None:
            self.ear.__exit__()  # of a training that broke
        self._told = state.global_step
        self.ear = Ear(kwargs["model"], self.every, self.window, self.batch).__enter__()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Beside the entry that the Trainer has just made."""
        due = self.log_every is not None and state.global_step >= self._told + self.log_every
        if self.ear is None or not due or "loss" not in kwargs.get("logs", {}):
            return
        self._told = state.global_step
        others = [self.writer] if self.writer is not None and state.is_world_process_zero else []
        log(self.ear, Entry(state.log_history[-1], self.prefix), *others, step=state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The report."""
        if self.ear is not None:
            self.ear.__exit__()
            if self.out is not None:
                self.outcome = told(self.ear, self.out, type(kwargs["model"]).__name__)
