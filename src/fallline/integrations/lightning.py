"""For Lightning: callbacks that log what the optimizer chose and why, that listen, and that save averages."""

from __future__ import annotations

from contextlib import ExitStack
from copy import deepcopy
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from .lightning_ear import ListenCallback
from .logger import Loggers
from .record import Writer, descent, record

__all__ = ["AverageCallback", "ListenCallback", "ReportCallback"]


class ReportCallback(Callback):
    """Sends the optimizer's report to all loggers of the Trainer: `Trainer(callbacks=[ReportCallback()])`.

    every: how many steps lie between two reports; None for the Trainer's log_every_n_steps. writer: takes the words
    too, which loggers do not. Beside it, LearningRateMonitor(log_momentum=True) shows the chosen momentum.
    TypeError at the start if an optimizer is not one of ours, ValueError if a writer would hear of several.
    """

    def __init__(self, every: int | None = None, writer: Writer | None = None, prefix: str = "fallline") -> None:
        if every is not None and every < 1:
            raise ValueError(f"Invalid every: {every!r}; give a number of steps, or None for the Trainer's.")
        self.every, self.writer, self.prefix = every, writer, prefix
        self._told = 0  # the step of the last row

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot be told now, not after the first hundred steps."""
        for optimizer in trainer.optimizers:
            descent(optimizer)
        if self.writer is not None and len(trainer.optimizers) > 1:
            raise ValueError(
                f"The writer takes the rows of one optimizer, but this Trainer has {len(trainer.optimizers)}, with "
                "the same names. Leave it out (loggers get them apart), or call record for each with its own prefix."
            )
        self._told = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A row after every so many steps, not batches: while gradients accumulate nothing is new."""
        step = trainer.global_step
        every = self.every or trainer.log_every_n_steps
        if not every or step % every or step == self._told:
            return
        self._told = step
        others = [self.writer] if self.writer is not None and trainer.is_global_zero else []
        for i, optimizer in enumerate(trainer.optimizers):
            prefix = self.prefix if len(trainer.optimizers) == 1 else f"{self.prefix}/optimizer{i}"
            record(optimizer, Loggers(trainer, prefix), *others, step=step)


class AverageCallback(Callback):
    """Lets the Trainer validate, test and save the weights that are trained, where gradients are taken at others.

    Checkpoints hold them, and with the optimizer what it takes to go on from there bit by bit. Not so with
    save_weights_only between validations, which asks no callback. In the end the model keeps them.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate."""
        for optimizer in trainer.optimizers:
            descent(optimizer).eval()

    on_test_start = on_predict_start = on_train_end = on_validation_start

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Go on."""
        for optimizer in trainer.optimizers:
            descent(optimizer).train()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """What was taken while it trains is taken again, of the weights to evaluate."""
        with ExitStack() as stack:
            for optimizer in trainer.optimizers:
                stack.enter_context(descent(optimizer).averaged())
            states = [trainer.strategy.optimizer_state(optimizer) for optimizer in trainer.optimizers]
            told = {"state_dict": trainer.strategy.lightning_module_state_dict(), "optimizer_states": states}
            checkpoint |= deepcopy(told)  # they change in place
