"""Who takes part: fixed momenta from torch.optim itself, self-choosing and named optimizers, and controls."""

from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from fallline.core.dial import shown_momentum
from fallline.race.setting import Setting

Params = Iterable[nn.Parameter]
Bank = Sequence[float] | str

FIRST = ("fixed", "auto", "paper")
NAMED = "named"
CONTROLS = ("unit-power", "unit-gain", "replay", "lr-only")
MEANING = {
    "fixed": "torch.optim with one momentum",
    "auto": 'momentum="auto": the default bank, probe and scale',
    "paper": "the paper's mode: zoo.gap_adam or zoo.gap_sgd",
    "named": "an optimizer of the registry at its recipe, but for lr, weight decay and the model's own roles",
    "unit-power": "auto with every filter scaled to unit power, so the effective lr moves with the momentum",
    "unit-gain": "auto with every filter scaled to unit gain, so the effective lr stays put",
    "replay": "unit-power that follows the momentum path another seed recorded, without looking",
    "lr-only": "torch.optim with momentum 0 on the effective-lr path another seed's unit-power run recorded",
}


def fixed(params: Params, s: Setting, momentum: float) -> Optimizer:
    """The peer: torch's own optimizer."""
    if s.optimizer == "sgd":
        return torch.optim.SGD(params, s.lr, momentum=momentum, weight_decay=s.weight_decay)
    return torch.optim.AdamW(params, s.lr, betas=(momentum, 0.999), weight_decay=s.weight_decay)


def chosen(params: Params, s: Setting, bank: Bank, selector: Any = None, scale: Any = None) -> Optimizer:
    """Fallline's SGD or AdamW with a bank of momenta; None leaves its own default."""
    import fallline

    parts = {name: part for name, part in (("selector", selector), ("scale", scale)) if part is not None}
    if s.optimizer == "sgd":
        return fallline.SGD(params, s.lr, momentum=bank, weight_decay=s.weight_decay, **parts)
    return fallline.AdamW(params, s.lr, betas=(bank, 0.999), weight_decay=s.weight_decay, **parts)


def paper(params: Params, s: Setting) -> Optimizer:
    """The paper's literal mode with its own bank."""
    from fallline.zoo import gap_adam, gap_sgd

    bank = s.bank or (0.5, 0.9, 0.99)
    if s.optimizer == "sgd":
        return gap_sgd(params, s.lr, momenta=bank, weight_decay=s.weight_decay)
    return gap_adam(params, s.lr, betas=(bank, 0.999), weight_decay=s.weight_decay, decoupled=True)


def unit_power(params: Params, s: Setting) -> Optimizer:
    """Auto whose effective lr moves with the momentum."""
    from fallline.filters import UnitPower

    return chosen(params, s, s.bank or "auto", scale=UnitPower())


def unit_gain(params: Params, s: Setting) -> Optimizer:
    """Auto whose effective lr is the lr."""
    from fallline.filters import UnitGain

    return chosen(params, s, s.bank or "auto", scale=UnitGain())


def replay(params: Params, s: Setting, choices: Sequence[int]) -> Optimizer:
    """Unit power along a recorded path of choices, open loop."""
    from fallline.filters import UnitPower
    from fallline.selectors import Replay

    return chosen(params, s, s.bank or "auto", selector=Replay(tuple(choices)), scale=UnitPower())


def named(params: Params, s: Setting, model: nn.Module | None) -> Optimizer:
    """An optimizer of the registry; one that asks for roles is told the model's."""
    import fallline
    from fallline.zoo.registry import REGISTRY

    recipe = REGISTRY[s.optimizer].build
    takes = signature(recipe).parameters
    words: dict[str, Any] = {"lr": s.lr}
    if "weight_decay" in takes:
        words["weight_decay"] = s.weight_decay
    if model is not None and "roles" in getattr(recipe, "keywords", ()):
        words["roles"] = fallline.roles(model)
    return recipe(params, **words)  # a partial: what it was given may be given anew


def build(params: Params, s: Setting, choices: Sequence[int] = (), model: nn.Module | None = None) -> Optimizer:
    """The optimizer of a setting; `choices` is the recorded path of a replay, `model` what the parameters belong to."""
    builders: dict[str, Callable[[], Optimizer]] = {
        "fixed": lambda: fixed(params, s, s.momentum or 0.0),
        "lr-only": lambda: fixed(params, s, 0.0),
        "auto": lambda: chosen(params, s, s.bank or "auto"),
        "paper": lambda: paper(params, s),
        "unit-power": lambda: unit_power(params, s),
        "unit-gain": lambda: unit_gain(params, s),
        "replay": lambda: replay(params, s, choices),
        "named": lambda: named(params, s, model),
    }
    return builders[s.contender]()


def momentum_of(optimizer: Optimizer) -> float:
    """The momentum of the last step, where dashboards read it."""
    return float(shown_momentum(optimizer.param_groups[0]) or 0.0)


def effective_lr_of(optimizer: Optimizer) -> float:
    """lr times the gain of the filter in the last step: what a long constant gradient would be multiplied by."""
    group = optimizer.param_groups[0]
    if "effective_lr" in group:
        return float(group["effective_lr"])
    # torch's AdamW averages (gain 1), torch's SGD sums (gain 1 / (1 - momentum)).
    return float(group["lr"]) / (1.0 if "betas" in group else 1.0 - momentum_of(optimizer))
