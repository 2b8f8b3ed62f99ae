"""For the transformers Trainer: a callback that hears the gradients, whatever the optimizer, and reports on them."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .entry import Entry
from .listener import Listener


class ListenCallback(Listener, TrainerCallback):
    """Listens while the Trainer trains: `Trainer(..., callbacks=[ListenCallback(batch=256)])`.

    Arguments are those of `Listener`; batch is what one optimizer step sees, of all devices together. Rows go into the
    Trainer's log when it logs, but not before `log_every` steps have passed since the last ones, and to the writer,
    since the Trainer's own dashboards have written before it asks callbacks of others. The report is written as
    training ends.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Now the parameters are where they stay."""
        self.begin(kwargs["model"], state.global_step)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Beside the entry that the Trainer has just made."""
        if self.due(state.global_step) and "loss" in kwargs.get("logs", {}):
            self.row(Entry(state.log_history[-1], self.prefix), state.global_step, state.is_world_process_zero)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The report."""
        self.end(type(kwargs["model"]).__name__)
