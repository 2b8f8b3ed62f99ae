"""Draws docs/theory/regions.svg: trust regions in the plane and their optimum as S turns.

Run: python docs/theory/figure_regions.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from fallline.theory import Data, Diagonal, Frobenius, Region, Spectral

matplotlib.rcParams["svg.hashsalt"] = "fallline"  # the same numbers give the same file

M = torch.diag(torch.tensor([1.0, 0.3]).double())
REGIONS: dict[str, Region] = {
    "Frobenius": Frobenius(1.0),
    "spectral, capped": Spectral(0.8, 1.2),
    "data (M fixed)": Data(M, 0.5),
    "diagonal (costs 1, .3)": Diagonal(M.diagonal(), 0.5),
}
TURNS = 6
COLORS = ("#0d47a1", "#1976d2", "#26a69a", "#f9a825", "#ef6c00", "#b71c1c")
SPREAD = (1.0, 0.15)  # eigenvalues of the S that turns


def turn(angle: float) -> Tensor:
    """A rotation of the plane."""
    a = torch.tensor(angle, dtype=torch.float64)
    return torch.stack([torch.stack([a.cos(), -a.sin()]), torch.stack([a.sin(), a.cos()])])


def moment(angle: float) -> Tensor:
    """S with its long axis at this angle."""
    U = turn(angle)
    return U @ torch.diag(torch.tensor(SPREAD).double()) @ U.mT


def draw() -> Figure:
    """Top: eigenvalues of S change. Bottom: its axes turn."""
    figure = Figure(figsize=(12.5, 6.6), layout="constrained")
    axes = figure.subplots(2, len(REGIONS))
    for k, (name, region) in enumerate(REGIONS.items()):
        eigenvalues(axes[0, k], region)
        axes[0, k].set_title(name, fontsize=13, fontweight="bold")
        rotation(axes[1, k], region)
    axes[0, 0].set_ylabel("q₂", fontsize=11)
    axes[1, 0].set_ylabel("S turns by 0°, 18°, .. 90°\nspokes: long axis of S", fontsize=11)
    figure.supxlabel("top: arrows S = diag(s₁, s₂), dots the best Q = diag(q₁, q₂), lines tr(Q S) = support(S)")
    return figure


def eigenvalues(ax: Axes, region: Region) -> None:
    """The region cut by the plane of diagonal operators, and the optimum for six S."""
    a = torch.linspace(0, torch.pi / 2, 121, dtype=torch.float64)
    ray = torch.stack([a.cos(), a.sin()], -1)
    edge = torch.stack([q / region.gauge(torch.diag(q)) for q in ray])
    ax.fill([0, *edge[:, 0].tolist()], [0, *edge[:, 1].tolist()], color="#eceff1", ec="#607d8b", lw=1.5)
    for k, color in enumerate(COLORS):
        angle = (0.06 + 0.88 * k / (TURNS - 1)) * torch.pi / 2
        s = torch.tensor([angle, torch.pi / 2 - angle]).double().cos()
        q = region.optimum(torch.diag(s)).diagonal()
        across = torch.stack([-s[1], s[0]]) * 0.28
        ax.plot(*zip((q - across).tolist(), (q + across).tolist(), strict=True), color=color, lw=1, alpha=0.8)
        ax.annotate("", (0.35 * s).tolist(), (0, 0), arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.3})
        ax.plot(*q.tolist(), "o", color=color, ms=8 - 0.9 * k, zorder=3)
    ax.set(xlim=(-0.05, 1.65), ylim=(-0.05, 1.65), aspect="equal", xlabel="q₁")
    ax.spines[["top", "right"]].set_visible(False)


def rotation(ax: Axes, region: Region) -> None:
    """Ellipses { Q* x : |x| = 1 } while S turns by a right angle."""
    a = torch.linspace(0, 2 * torch.pi, 73, dtype=torch.float64)
    circle = torch.stack([a.cos(), a.sin()])
    for k, color in enumerate(COLORS):
        angle = torch.pi / 2 * k / (TURNS - 1)
        x, y = (region.optimum(moment(angle)) @ circle).tolist()
        ax.plot(x, y, color=color, lw=2.2)
        axis = 1.25 * turn(angle)[:, 0]
        ax.plot(*zip((1.08 * axis).tolist(), (1.2 * axis).tolist(), strict=True), color=color, lw=4)
        ax.plot(*zip([0, 0], axis.tolist(), strict=True), color=color, lw=0.7, alpha=0.7)
    ax.set(xlim=(-1.55, 1.55), ylim=(-1.55, 1.55), aspect="equal")
    ax.axis("off") if ax.get_subplotspec().colspan.start else ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_name("regions.svg"), facecolor="white", metadata={"Date": None})
