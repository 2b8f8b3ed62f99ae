"""Draws docs/theory/pay.svg: pay as a function of beta for the gradients of a real run."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure

import fallline
from fallline.race.digit import MLP
from fallline.theory import best_momentum, momentum, momentum_pay, pay, traces

matplotlib.rcParams["svg.hashsalt"] = "fallline"  # the same numbers give the same file

LAGS, STEPS = 200, 300
BETAS = torch.cat([torch.linspace(0, 0.9, 91), torch.linspace(0.9, 0.995, 60)[1:]]).double()
STREAMS = (
    ("pure noise", 1.0, 0.0, 0.9),
    ("noise and signal, rho .9", 1.0, 1.0, 0.9),
    ("signal only, rho .9", 0.0, 1.0, 0.9),
)


def record(lr: float, steps: int = STEPS) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of two independent halves of every batch while AdamW trains the digits MLP: two [T, P]."""
    task = MLP.task(seed=0, data=None)
    weights = list(task.parameters())
    optimizer = fallline.AdamW(weights, lr=lr, betas=(0.9, 0.999))
    halves: list[torch.Tensor] = []
    for _ in range(steps):
        grads = [torch.autograd.grad(task.loss(), weights) for _ in range(2)]
        halves.append(torch.stack([torch.cat([x.flatten() for x in grad]) for grad in grads]))
        for weight, a, b in zip(weights, *grads, strict=True):
            weight.grad = (a + b) / 2
        optimizer.step()
    return torch.stack(halves, 1).unbind(0)


def curves(lr: float) -> dict[str, torch.Tensor]:
    """Pay of momentum beta under each score, over the largest of its curve."""
    a, b = record(lr)
    same = traces((a + b) / 2, LAGS)
    halves, later = same.clone(), same.clone()
    halves[0], later[0] = (a.double() * b).sum(1).mean(), 0
    bank = torch.stack([momentum(float(x), 1.0, LAGS) for x in BETAS])
    named = {"same batch": same, "two half batches": halves, "lags ≥ 1": later}
    return {name: pay(bank, r) / pay(bank, r).abs().max() for name, r in named.items()}


def draw() -> Figure:
    """Three panels: models with known answers, and a run at a small and a large learning rate."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    model, *runs = figure.subplots(1, 3, sharey=True)
    for name, a, b, rho in STREAMS:
        worth = momentum_pay(BETAS, a, b, rho)
        line = model.plot(-(1 - BETAS).log10(), worth / worth.max(), label=name)[0]
        best = best_momentum(a, b, rho)[0]
        model.plot(-torch.tensor(1 - best).log10(), 1, "o", color=line.get_color())
    model.set_title("known streams; dots: the cubic's root")
    for axes, lr in zip(runs, (3e-4, 1e-2), strict=True):
        for name, worth in curves(lr).items():
            line = axes.plot(-(1 - BETAS).log10(), worth, label=name)[0]
            axes.plot(-(1 - BETAS[worth.argmax()]).log10(), 1, "o", color=line.get_color())
        axes.set_title(f"digits MLP, AdamW, lr {lr:g}, {STEPS} steps")
    marks = torch.tensor([0, 0.5, 0.9, 0.99]).double()
    for axes in (model, *runs):
        axes.set_xticks((-(1 - marks).log10()).tolist(), ["0", ".5", ".9", ".99"])
        axes.set_xlabel("momentum β")
        axes.axhline(0, color="#90a4ae", lw=0.8)
        axes.legend(frameon=False, fontsize=9)
    model.set_ylabel("pay / its largest")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_name("pay.svg"), facecolor="white", metadata={"Date": None})
