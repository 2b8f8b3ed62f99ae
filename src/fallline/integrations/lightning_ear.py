"""For Lightning: a callback that hears the gradients, whatever the optimizer, and reports what they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from ..listen import Ear, log, told
from .logger import Loggers
from .record import Writer


class ListenCallback(Callback):
    """Listens while the Trainer trains: `Trainer(callbacks=[ListenCallback(batch=256)])`.

    every, window, batch: as of `fallline.listen`; under several processes batch is that of all together. log_every:
    steps between two rows for all loggers of the Trainer, each of which takes some tenths of a second; None for none.
    writer: takes them, too, with the alarms in words. out: the folder of the report, written as training ends or
    breaks; None for none. Afterwards `ear` and `outcome` hold what was heard.
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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Now the parameters are where they stay."""
        self._told = trainer.global_step
        self.ear = Ear(pl_module, self.every, self.window, self.batch).__enter__()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A row after every so many steps, not batches."""
        step = trainer.global_step
        if self.ear is None or not self.log_every or step < self._told + self.log_every:
            return
        self._told = step
        others = [self.writer] if self.writer is not None and trainer.is_global_zero else []
        log(self.ear, Loggers(trainer, self.prefix), *others, step=step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The report."""
        if self.ear is not None:
            self.ear.__exit__()
            if self.out is not None:
                self.outcome = told(self.ear, self.out, type(pl_module).__name__)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The same, unless other processes may be gone or wait elsewhere."""
        if trainer.world_size == 1:
            self.on_train_end(trainer, pl_module)
        elif self.ear is not None:
            self.ear.__exit__()
