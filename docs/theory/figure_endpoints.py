"""Draws docs/theory/endpoints.svg: where three linear optimizers come to rest. Run it as a script."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from fallline.theory import LeastSquares, end, filtered, kernel

matplotlib.rcParams["svg.hashsalt"] = "fallline"
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

ONE = LeastSquares(torch.tensor([[1.0, 2.0]]).double() / 2, torch.tensor([1.0]).double())
PLANE = {
    "Q = I": (torch.eye(2).double(), "#0072B2"),
    "Q = diag(1, .1)": (torch.diag(torch.tensor([1.0, 0.1])).double(), "#D55E00"),
    "Q full": (torch.tensor([[0.4, -0.3], [-0.3, 0.8]]).double(), "#009E73"),
}
DEGREE = 40


def way(problem: LeastSquares, Q: Tensor, beta: float, eta: float = 0.12, steps: int = 90) -> Tensor:
    """Points [steps + 1, P] of a walk from 0 with the EMA of beta."""
    taps = ((1 - beta) * beta ** torch.arange(steps, dtype=torch.float64))[:, None, None] * Q
    zero = torch.zeros(len(Q), dtype=torch.float64)
    return torch.stack([filtered(problem, taps, zero, eta, n) for n in range(steps + 1)])


def plane(axes: Axes) -> None:
    """One datum, two parameters: the points that fit are a line."""
    line = torch.tensor([[-1.4, 1.7], [2.6, -0.3]])
    axes.plot(*line.T, color="0.6", lw=5, alpha=0.5, solid_capstyle="round")
    axes.text(-1.3, 1.28, "all of these fit", color="0.35", fontsize=10)
    for name, (Q, color) in PLANE.items():
        for beta, dash in ((0.0, "-"), (0.9, ":")):
            axes.plot(*way(ONE, Q, beta).T, dash, color=color, lw=1.6, label=name if beta == 0 else None)
        axes.plot(*end(ONE, Q, torch.zeros(2).double()), "o", color=color, ms=8, zorder=3)
    axes.plot(0, 0, "k+", ms=10)
    axes.set_title("One datum, two parameters\ndotted: with momentum .9, dots: the formula", loc="left", fontsize=11)
    axes.set_aspect("equal")
    axes.set(xlim=(-1.5, 2.7), ylim=(-0.5, 1.9))
    axes.legend(frameon=False, fontsize=9, loc="upper right")


def features(x: Tensor) -> Tensor:
    """Cosines [len(x), DEGREE] of frequency 0, 1, 2, ... half waves."""
    return torch.cos(torch.pi * x[:, None] * torch.arange(DEGREE))


def curve(axes: Axes) -> None:
    """Five data, forty frequencies: Q decides which frequencies are cheap."""
    x, at = torch.linspace(0.1, 0.9, 5).double(), torch.linspace(0, 1, 400).double()
    fit = LeastSquares(features(x), torch.tensor([0.2, 1.0, -0.3, 0.4, -0.6]).double())
    frequency = torch.arange(DEGREE, dtype=torch.float64)
    rows = (("q = 1", frequency * 0 + 1, "#0072B2"), ("q = 1 / (1 + j)²", (1 + frequency) ** -2, "#D55E00"))
    rows += (("q = exp(−j / 2)", torch.exp(-frequency / 2), "#009E73"),)
    for name, q, color in rows:
        theta = end(fit, torch.diag(q), torch.zeros(DEGREE).double())
        axes.plot(at, features(at) @ theta, color=color, lw=1.8, label=name)
    axes.plot(x, fit.y, "ko", ms=6, zorder=3)
    axes.set_title(
        "Five data, forty cosines j = 0 … 39\nthe same fit, three functions: Q = diag q", loc="left", fontsize=11
    )
    axes.legend(frameon=False, fontsize=9)


def kernels(axes: Axes) -> None:
    """The kernels that these three interpolate with, seen from x = .5."""
    at, here = torch.linspace(0, 1, 400).double(), torch.tensor([0.5]).double()
    frequency = torch.arange(DEGREE, dtype=torch.float64)
    rows = ((frequency * 0 + 1, "#0072B2"), ((1 + frequency) ** -2, "#D55E00"), (torch.exp(-frequency / 2), "#009E73"))
    for q, color in rows:
        k = kernel(features(here), torch.diag(q), features(at))[0]
        axes.plot(at, k / k.max(), color=color, lw=1.8)
    axes.set_title(
        "What a step for x = .5 does elsewhere\nk(.5, x) = j(.5) Q j(x)ᵀ, over its maximum", loc="left", fontsize=11
    )


def draw() -> Figure:
    """Three panels."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    for axes, panel in zip(figure.subplots(1, 3, width_ratios=(1.3, 1, 1)), (plane, curve, kernels), strict=True):
        panel(axes)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_name("endpoints.svg"), facecolor="white", metadata={"Date": None})
