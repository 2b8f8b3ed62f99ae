"""For Lightning: a callback that hears the gradients, whatever the optimizer, and reports what they ask for."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from .listener import Listener
from .logger import Loggers


class ListenCallback(Listener, Callback):
    """Listens while the Trainer trains: `Trainer(callbacks=[ListenCallback(batch=256)])`.

    Arguments are those of `Listener`; under several processes batch is that of all together. Rows go to all loggers of
    the Trainer, and to the writer with the alarms in words. The report is written as training ends or breaks.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Now the parameters are where they stay."""
        self.begin(pl_module, trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A row after every so many steps, not batches."""
        if self.due(trainer.global_step):
            self.row(Loggers(trainer, self.prefix), trainer.global_step, trainer.is_global_zero)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The report."""
        self.end(type(pl_module).__name__)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The same, unless other processes may be gone or wait elsewhere."""
        if trainer.world_size == 1:
            self.on_train_end(trainer, pl_module)
        else:
            self.stop()
