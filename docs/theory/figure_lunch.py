"""Draws docs/theory/lunch.svg: which trust region wins on which loss. Run: python docs/theory/figure_lunch.py

Twelve weights, u = Q*(S) g, 150 steps, lr falling linearly to 0; for each family the best of nine lr, 10^-3 .. 10^1, on
each loss (geometric mean over three starts). S is the last gradient's g g^T, or an average (.9) of those.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from torch import Tensor

from fallline.theory import Data, Diagonal, Frobenius, Region, Spectral, costs, rooted

matplotlib.rcParams["svg.hashsalt"] = "fallline"  # the same numbers give the same file

N, STEPS, SEEDS = 12, 150, 3
RATES = [10 ** (k / 2) for k in range(-6, 3)]
Loss = Callable[[Tensor], Tensor]


def source(seed: int) -> torch.Generator:
    """Known draws."""
    return torch.Generator().manual_seed(seed)


def ellipse(condition: float) -> Callable[[int], tuple[Loss, Tensor]]:
    """w H w / 2 with eigenvalues 1/condition .. 1, evenly in the logarithm, and axes drawn at random."""

    def made(seed: int) -> tuple[Loss, Tensor]:
        U = torch.linalg.qr(torch.randn(N, N, generator=source(seed), dtype=torch.float64))[0]
        h = torch.logspace(-math.log10(condition), 0, N, dtype=torch.float64)
        H = (U * h) @ U.mT
        return lambda w: w @ H @ w / 2, torch.randn(N, generator=source(seed + 99), dtype=torch.float64)

    return made


def rosenbrock(seed: int) -> tuple[Loss, Tensor]:
    """Six bent valleys."""
    start = torch.randn(N, generator=source(seed), dtype=torch.float64)
    return lambda w: (10 * (w[1::2] - w[::2] ** 2) ** 2 + (1 - w[::2]) ** 2).sum(), start


def factors(seed: int) -> tuple[Loss, Tensor]:
    """Six products that must become 3 .. .01, from small factors near the saddle at 0."""
    wanted = torch.tensor([3.0, 1.0, 0.3, 0.1, 0.03, 0.01], dtype=torch.float64)
    start = 0.3 * torch.randn(N, generator=source(seed), dtype=torch.float64).abs()
    return lambda w: ((w[:6] * w[6:] - wanted) ** 2).sum() / 2, start


def network(seed: int) -> tuple[Loss, Tensor]:
    """Three tanh units on 32 points of the plane."""
    x = torch.randn(32, 2, generator=source(seed), dtype=torch.float64)
    y = torch.sin(2 * x[:, 0]) * x[:, 1].sign()
    start = 0.5 * torch.randn(N, generator=source(seed + 99), dtype=torch.float64)
    return lambda w: ((torch.tanh(x @ w[:6].view(3, 2).mT + w[6:9]) @ w[9:] - y) ** 2).mean(), start


LOSSES = {
    "ellipse, condition 10": ellipse(10.0),
    "ellipse, condition 100": ellipse(100.0),
    "bent valleys (Rosenbrock)": rosenbrock,
    "products, from a saddle": factors,
    "network of 3 tanh units": network,
}
FAMILIES: dict[str, tuple[float, Callable[[Tensor], Region]]] = {
    "Frobenius\n= SGD": (0.0, lambda S: Frobenius()),
    "data\n= normalised\nSGD": (0.0, Data),
    "diagonal\n= sign": (0.0, lambda S: Diagonal(costs(S))),
    "Frobenius": (0.9, lambda S: Frobenius()),
    "spectral,\n3 axes full": (0.9, lambda S: Spectral(3**-0.5, 3**0.5)),
    "data\n= RMSprop,\none lr": (0.9, Data),
    "diagonal\n= RMSprop": (0.9, lambda S: Diagonal(costs(S))),
    "data, S^3/2\n= full\nAdaGrad": (0.9, lambda S: Data(rooted(S, 1.5))),
}


def end(family: str, loss: Loss, w: Tensor, lr: float) -> float:
    """log10 of the last loss over the first; 3 for a run that left."""
    beta, region = FAMILIES[family]
    first, S = float(loss(w)), torch.zeros(N, N, dtype=torch.float64)
    for t in range(STEPS):
        w = w.detach().requires_grad_(True)
        value = loss(w)
        if not value < 1e3 * first:
            return 3.0
        (g,) = torch.autograd.grad(value, w)
        S = beta * S + (1 - beta) * torch.outer(g, g)
        seen = S + (
            1e-6 * S.trace() / N * torch.eye(N, dtype=torch.float64) if beta else 0
        )  # bounded without a gradient
        w = w.detach() - lr * (1 - t / STEPS) * (region(seen).optimum(seen) @ g)
    return math.log10(max(float(loss(w)) / first, 1e-30))


def best(family: str, name: str) -> float:
    """Mean over the starts at the family's best lr."""
    starts = [LOSSES[name](seed) for seed in range(SEEDS)]
    return min(sum(end(family, loss, w, lr) for loss, w in starts) / SEEDS for lr in RATES)


def draw(results: list[list[float]]) -> Figure:
    """One row per loss; green is best in its row."""
    figure = Figure(figsize=(12.5, 4.6), layout="constrained")
    ax = figure.subplots()
    shade = [[(x - min(row)) / (max(row) - min(row)) for x in row] for row in results]
    ax.imshow(shade, cmap="RdYlGn_r", vmin=-0.25, vmax=1.25, aspect="auto")
    for i, row in enumerate(results):
        for j, x in enumerate(row):
            weight = "bold" if x == min(row) else "normal"
            ax.text(j, i, f"{x:.1f}", ha="center", va="center", fontsize=13, fontweight=weight)
    ax.set_xticks(range(len(FAMILIES)), FAMILIES, fontsize=10)
    ax.set_yticks(range(len(LOSSES)), LOSSES, fontsize=11)
    ax.axvline(2.5, color="white", lw=6)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(
        "S = g gᵀ of this step (3 left)  |  S averaged over about ten steps (5 right)     log₁₀ of last loss over first"
    )
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    results = [[best(family, name) for family in FAMILIES] for name in LOSSES]
    for name, row in zip(LOSSES, results, strict=True):
        print(f"{name:28}", *(f"{x:7.2f}" for x in row))
    draw(results).savefig(Path(__file__).with_name("lunch.svg"), facecolor="white", metadata={"Date": None})
