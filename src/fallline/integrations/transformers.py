"""For the transformers Trainer: a factory that knows the parameters, and callbacks that report, listen, and average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch.nn import Module
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..core.network import roles
from ..zoo import AdamW
from ..zoo.routed import Routed
from .entry import Entry
from .record import Writer, descent, record
from .transformers_ear import ListenCallback

__all__ = ["AverageCallback", "Factory", "ListenCallback", "ReportCallback"]


class Factory:
    """Builds an optimizer from a whole model: `Trainer(optimizer_cls_and_kwargs=(Factory, {"lr": 1e-3, ...}))`.

    Unlike the class path, `(AdamW, {"lr": 1e-3})`, it gives the parameters' names to the optimizer, so that reports
    and errors name them. The two groups are called "decay" and "no_decay", and the Trainer's own rule divides them;
    one that would be empty is left out. Muon and its relatives hear from the model what every parameter is, unless
    `roles` stands beside Factory too. The Trainer hands over what stands beside Factory and nothing of its
    TrainingArguments: give lr and weight_decay there.
    """

    def __call__(
        self,
        model: Module,
        optimizer: Callable[..., torch.optim.Optimizer] = AdamW,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> torch.optim.Optimizer:
        """optimizer: a class or function (groups, **options). Parameters that do not learn are left out."""
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        decaying = set(Trainer.get_decay_parameter_names(cast(Any, None), model))  # it does not look at its trainer
        groups = (
            {"params": [x for x in named if x[0] in decaying], "weight_decay": weight_decay, "name": "decay"},
            {"params": [x for x in named if x[0] not in decaying], "weight_decay": 0.0, "name": "no_decay"},
        )
        kind = getattr(optimizer, "func", optimizer)
        if isinstance(kind, type) and issubclass(kind, Routed):
            options.setdefault("roles", roles(model))
        return optimizer([group for group in groups if group["params"]], **options)


class ReportCallback(TrainerCallback):
    """Adds what the optimizer chose to the Trainer's log: state.log_history, and a writer if there is one.

    It does so whenever the Trainer logs (logging_steps). TypeError at the start if the optimizer is not one of ours.
    """

    def __init__(self, writer: Writer | None = None, prefix: str = "fallline") -> None:
        self.writer, self.prefix = writer, prefix

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse another optimizer now, not after the first hundred steps."""
        descent(kwargs["optimizer"])

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Beside the entry that the Trainer has just made."""
        if "loss" in kwargs.get("logs", {}):
            others = [self.writer] if self.writer is not None and state.is_world_process_zero else []
            entry = Entry(state.log_history[-1], self.prefix)
            record(kwargs["optimizer"], entry, *others, step=state.global_step)


class AverageCallback(TrainerCallback):
    """Lets the Trainer save and keep the weights that are trained, where gradients are taken at others (averages).

    The Trainer itself calls eval() before it evaluates and train() before it trains. This adds the rest: checkpoints
    between evaluations, and what the model holds in the end.
    """

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Before it saves or stops; the next step begins with train()."""
        if control.should_save or control.should_training_stop:
            descent(kwargs["optimizer"]).eval()

    on_epoch_end = on_step_end
