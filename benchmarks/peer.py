"""The others' rows: torch's own routes, and four libraries of optimizers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch

from benchmarks.row import DECAY, LR, MOMENTUM, SQUARES, Params, Row, Step, plain

NUMBERS: dict[str, dict[str, Any]] = {
    "adamw": {"lr": LR, "betas": (MOMENTUM, SQUARES), "weight_decay": DECAY},
    "sgd": {"lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY},
}
TORCH = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def looking(opt: Any, params: Params) -> Step:
    """A step that is taken only if all gradients are finite, as our default does it: torch's own means to that end."""

    def step() -> None:
        norm = torch.nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
        if torch.isfinite(norm):
            opt.step()

    return step


def compiled(opt: Any, params: Params) -> Step:
    """torch.compile(opt.step); the lr is a float that does not change."""
    return torch.compile(opt.step)


def torch_rows(family: str) -> list[Row]:
    """torch's routes; the fused one is in every group."""

    def row(word: str, label: str, run: Callable[[Any, Params], Step] = plain, **options: bool) -> Row:
        return Row(
            name=f"{family}-torch-{word}",
            label=f"torch: {label}",
            family=family,
            group={compiled: "compiled", looking: "one buffer"}.get(run, "torch"),
            build=lambda params: TORCH[family](params, **NUMBERS[family], **options),
            run=run,
            buffers=2.0 if family == "adamw" else 1.0,
            compiled=run is compiled,
            drawn=True,
        )

    return [
        row("fused", "fused", fused=True),
        row("checked", "fused, after get_total_norm", looking, fused=True),
        row("foreach", "foreach", foreach=True),
        row("loop", "loop", foreach=False, fused=False),
        row("compiled", "foreach, compiled", compiled, foreach=True),
    ]


def heavy(mode: str | None) -> Callable[[Any, Params], Step]:
    """heavyball's compile mode is a global of its module; None is eager."""

    def run(opt: Any, params: Params) -> Step:
        module = import_module("heavyball.utils")

        def step() -> None:
            module.compile_mode = mode
            opt.step()

        return step

    return run


def row(word: str, label: str, package: str, name: str, family: str = "adamw", **more: Any) -> Row:
    """One of a library's, in training mode where it has one; its own defaults but for lr, betas and decay."""
    run, is_compiled = more.pop("run", plain), more.pop("compiled", False)
    numbers = {"lr": LR, "weight_decay": DECAY, "betas": (MOMENTUM, SQUARES if family == "adamw" else 0.99)}

    def build(params: Params) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opt = getattr(import_module(package), name)(params, **numbers, **more)
        getattr(opt, "train", lambda: None)()
        return opt

    return Row(
        name=f"{family}-{word}",
        label=label,
        family=family,
        group="compiled" if is_compiled else "peers",
        build=build,
        run=run,
        package=package,
        compiled=is_compiled,
        drawn=True,
    )


def peer_rows() -> list[Row]:
    """Four libraries' AdamW or what is nearest to it, and two Lions."""
    default = heavy("max-autotune-no-cudagraphs")
    return [
        row("heavyball", "heavyball AdamW, eager", "heavyball", "AdamW", run=heavy(None)),
        row("heavyball-compiled", "heavyball AdamW, compiled", "heavyball", "AdamW", run=default, compiled=True),
        row("stable", "pytorch-optimizer StableAdamW", "pytorch_optimizer", "StableAdamW"),
        row("optimi", "torch-optimi AdamW", "optimi", "AdamW"),
        row("optimi-foreach", "torch-optimi AdamW, foreach", "optimi", "AdamW", foreach=True),
        row("schedulefree", "schedulefree AdamW", "schedulefree", "AdamWScheduleFree"),
        row("pytorch-optimizer", "pytorch-optimizer Lion", "pytorch_optimizer", "Lion", family="lion"),
        row("optimi", "torch-optimi Lion", "optimi", "Lion", family="lion"),
    ]
