"""What steps that find their own size do in small batches: the tables of docs/steps.md."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

import fallline

SEEDS = range(3)
ROWS, WIDTH, INPUTS, STEPS = 512, 32, 8, 400
Build = Callable[[Any], Any]

OPTIMIZERS: dict[str, Build] = {
    "`AdamW`, lr .01": lambda p: fallline.AdamW(p, lr=0.01),
    "`AdGD`": fallline.AdGD,
    "`OASIS`": fallline.OASIS,
    "`UDoG`": fallline.UDoG,
    "`UniXGrad`, diameter 1": lambda p: fallline.UniXGrad(p, diameter=1.0),
    "`UniXGrad`, diameter 10": lambda p: fallline.UniXGrad(p, diameter=10.0),
    "`SMB`, lr .5": lambda p: fallline.SMB(p, lr=0.5),
    "`DoG`, `reps_rel` 1e-3": lambda p: fallline.DoG(p, reps_rel=1e-3, average=8),
    "`DAdaptSGD`": fallline.DAdaptSGD,
}
SETTINGS = {"all rows": (0, 0.0), "batch 16": (16, 0.0), "batch 16, label noise": (16, 0.5)}

CAPS = (0.1, 1.0, 1000.0)
POLYAK: dict[str, tuple[float, Callable[[Any, float, float], Any]]] = {
    "`SPS`, exact labels": (0.0, lambda p, lr, low: fallline.SPS(p, lr=lr, n_batches_per_epoch=None)),
    "`SPS`, label noise": (0.5, lambda p, lr, low: fallline.SPS(p, lr=lr, n_batches_per_epoch=None)),
    "`SPS`, label noise, the least loss as `lb`": (
        0.5,
        lambda p, lr, low: fallline.SPS(p, lr=lr, lb=low, n_batches_per_epoch=None),
    ),
    "`MoMo`, label noise, the least loss as `lb`": (0.5, lambda p, lr, low: fallline.MoMo(p, lr=lr, lb=low)),
}


def drawn(seed: int, noise: float) -> tuple[Tensor, Tensor]:
    """Inputs, and a sine of their sum, with noise of this standard deviation."""
    torch.manual_seed(seed)
    x = torch.randn(ROWS, INPUTS)
    return x, (x.sum(1, keepdim=True) / 2).sin() + noise * torch.randn(ROWS, 1)


def walk(opt: Any, f: Callable[[Any], Tensor], batch: int, steps: int) -> None:
    """Steps on random batches, the same one for all gradients of a step; 0: on all rows."""
    for _ in range(steps):
        rows = torch.randint(ROWS, (batch,)) if batch else slice(None)

        def closure(rows: Any = rows) -> Tensor:
            opt.zero_grad()
            loss = f(rows)
            loss.backward()
            return loss

        opt.step(closure)


def trained(build: Build, batch: int, noise: float, seed: int) -> float:
    """The last loss on all rows of a network with one hidden layer; of the average, where there is one.

    Infinite where gradients stop being finite.
    """
    x, y = drawn(seed, noise)
    net = nn.Sequential(nn.Linear(INPUTS, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))
    opt = build(net.parameters())
    try:
        walk(opt, lambda rows: nn.functional.mse_loss(net(x[rows]), y[rows]), batch, STEPS)
    except FloatingPointError:
        return math.inf
    with opt.averaged():
        return float(nn.functional.mse_loss(net(x), y).detach())


def fitted(build: Callable[[Any, float, float], Any], cap: float, noise: float, seed: int) -> float:
    """How far linear regression stays above its least loss: mean over the last 300 of 600 steps."""
    x, y = drawn(seed, 0.0)
    y = x.sum(1, keepdim=True) + noise * torch.randn(ROWS, 1)
    least = float((x @ torch.linalg.lstsq(x, y).solution - y).square().mean())
    w = nn.Parameter(torch.zeros(INPUTS, 1))
    opt, seen = build([w], cap, least), []
    for n in range(600):
        walk(opt, lambda rows: (x[rows] @ w - y[rows]).square().mean(), 16, 1)
        seen += [float((x @ w - y).square().mean().detach()) - least] if n >= 300 else []
    return statistics.mean(seen)


def told(found: list[float]) -> str:
    """The median, and the smallest and largest."""
    return f"{statistics.median(found):.2g} ({min(found):.2g} to {max(found):.2g})"


def row(name: str, cells: Iterable[str]) -> None:
    """A line of a Markdown table, shown as soon as it is known."""
    print(f"| {' | '.join([name, *cells])} |", flush=True)


def head(title: str, columns: list[str]) -> None:
    """What stands above the lines of a table."""
    print(f"\n{title}; median of seeds {[*SEEDS]}, their range\n")
    row("", columns)
    row("---", ["---"] * len(columns))


def main() -> None:
    """Both tables."""
    torch.set_num_threads(1)
    head(f"{WIDTH} hidden units, {ROWS} rows, {STEPS} steps: last loss", [*SETTINGS])
    for name, build in OPTIMIZERS.items():
        row(name, (told([trained(build, *setting, seed) for seed in SEEDS]) for setting in SETTINGS.values()))
    head("linear regression, batches of 16: how far above the least loss", [f"cap {cap:g}" for cap in CAPS])
    for name, (noise, made) in POLYAK.items():
        row(name, (told([fitted(made, cap, noise, seed) for seed in SEEDS]) for cap in CAPS))


if __name__ == "__main__":
    main()
