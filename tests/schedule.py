"""All of torch's schedulers, each as it is made for an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import lr_scheduler
from torch.optim.swa_utils import SWALR

SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda opt: lr_scheduler.LambdaLR(opt, [lambda n: 0.9**n] * len(opt.param_groups)),
    "MultiplicativeLR": lambda opt: lr_scheduler.MultiplicativeLR(opt, lambda n: 0.9),
    "StepLR": lambda opt: lr_scheduler.StepLR(opt, 2),
    "MultiStepLR": lambda opt: lr_scheduler.MultiStepLR(opt, [2, 4]),
    "ConstantLR": lambda opt: lr_scheduler.ConstantLR(opt, total_iters=3),
    "LinearLR": lambda opt: lr_scheduler.LinearLR(opt),
    "ExponentialLR": lambda opt: lr_scheduler.ExponentialLR(opt, 0.8),
    "CosineAnnealingLR": lambda opt: lr_scheduler.CosineAnnealingLR(opt, 5),
    "CosineAnnealingWarmRestarts": lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 3),
    "PolynomialLR": lambda opt: lr_scheduler.PolynomialLR(opt, 5),
    "SequentialLR": lambda opt: lr_scheduler.SequentialLR(
        opt, [lr_scheduler.ConstantLR(opt), lr_scheduler.ExponentialLR(opt, 0.8)], [2]
    ),
    "ChainedScheduler": lambda opt: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(opt), lr_scheduler.ExponentialLR(opt, 0.8)]
    ),
    "ReduceLROnPlateau": lambda opt: lr_scheduler.ReduceLROnPlateau(opt, patience=1),
    "SWALR": lambda opt: SWALR(opt, 0.01, anneal_epochs=3),
    "OneCycleLR": lambda opt: lr_scheduler.OneCycleLR(opt, 0.02, total_steps=8, cycle_momentum=False),
    "CyclicLR": lambda opt: lr_scheduler.CyclicLR(opt, 0.001, 0.01, step_size_up=2, cycle_momentum=False),
}
CYCLING: dict[str, Callable[[Any], Any]] = {
    "OneCycleLR": lambda opt: lr_scheduler.OneCycleLR(opt, 0.02, total_steps=8),
    "CyclicLR": lambda opt: lr_scheduler.CyclicLR(opt, 0.001, 0.01, step_size_up=2),
}
