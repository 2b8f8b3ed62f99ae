"""Draws docs/theory/curvature.svg and longrun.svg: where momentum is stable, and who wins. Run it as a script."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch

from fallline.race.quadratic import curvatures
from fallline.theory import Bowl, Mode, course, edge, floor, greedy, steady

matplotlib.rcParams["svg.hashsalt"] = "fallline"
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

BETA = torch.linspace(0, 0.995, 300, dtype=torch.float64)
FOUR = torch.tensor([0.0, 0.5, 0.9, 0.99], dtype=torch.float64)
COLORS = ("#90caf9", "#42a5f5", "#1565c0", "#0d2f6b")
SIGMAS = torch.logspace(-2.5, 0, 11, dtype=torch.float64)


def radius(axes: Axes) -> None:
    """What is left of the mean after a step."""
    size = torch.logspace(-3, 2.6, 300, dtype=torch.float64)
    a, beta = torch.meshgrid(size, BETA, indexing="ij")
    left = Mode(a, beta).radius
    shown = axes.pcolormesh(BETA, size, torch.where(left < 1, left, torch.nan), cmap="viridis", vmin=0, rasterized=True)
    axes.plot(BETA, (1 - BETA.sqrt()) ** 2 / (1 - BETA), "w--", lw=1.3)
    axes.text(0.1, 0.002, "dashed: as fast as it gets at this β", color="black", fontsize=9)
    axes.set_yscale("log")
    axes.figure.colorbar(shown, ax=axes, label="what a step leaves of x (root)")
    axes.set_title("EMA: white is unstable", loc="left", fontsize=11)
    axes.set(xlabel="β", ylabel="ηh", ylim=(1e-3, 400))


def edges(axes: Axes) -> None:
    """The stable region in three scales, and what rough noise leaves of it."""
    axes.plot(BETA, edge(BETA), color="#0072B2", label="EMA")
    axes.plot(BETA, edge(BETA) * ((1 - BETA) / (1 + BETA)).sqrt(), color="#009E73", label="unit energy")
    axes.plot(BETA, edge(BETA) * (1 - BETA), color="#D55E00", label="heavy ball")
    axes.plot(BETA, edge(BETA, BETA) * (1 - BETA), color="#CC79A7", label="Nesterov, torch's scale")
    a = torch.logspace(-1, 2.7, 500, dtype=torch.float64)
    for rough, dash in ((0.3, "--"), (1.0, ":")):
        most = (steady(Mode(a[:, None], BETA), rough) * a[:, None]).amax(0)
        axes.plot(BETA, most, dash, color="#0072B2", label=f"EMA, noise {rough:g} of the gradient")
    axes.set_yscale("log")
    axes.set(xlabel="β", ylabel="largest stable ηh", ylim=(0.5, 400))
    axes.set_title("The edge: below it is stable", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=8.5)


def level(axes: Axes) -> None:
    """The floor against beta at one effective lr and at unit energy."""
    one = Bowl(torch.ones(1).double(), torch.ones(1).double(), 1.0)
    for eta, color in zip((0.05, 0.5, 1.5), ("#42a5f5", "#1565c0", "#0d2f6b"), strict=True):
        plain = floor(one, torch.tensor(eta), torch.tensor(0.0))
        axes.plot(BETA, floor(one, torch.tensor(eta), BETA) / plain, color=color, label=f"effective lr η, ηh = {eta:g}")
    unit = floor(one, 0.05 * ((1 + BETA) / (1 - BETA)).sqrt(), BETA) / floor(one, torch.tensor(0.05), torch.tensor(0.0))
    axes.plot(BETA, unit, color="#009E73", label="unit energy, ηh = .05")
    axes.set(xlabel="β", ylim=(0.1, 30), yscale="log")
    axes.set_title("Noise floor over that of β = 0", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=8.5)


def winners(axes: Axes, tuned: bool, steps: int = 1000) -> None:
    """Expected loss after the last step over the best beta's, as noise grows."""
    h = curvatures()[::5]
    scale = ((1 + FOUR) / (1 - FOUR)).sqrt()
    etas = torch.logspace(-3.5, 0.7, 43, dtype=torch.float64)[:, None] if tuned else torch.tensor([[0.05]]).double()
    last = []
    for sigma in SIGMAS.tolist():
        there = course(Bowl(h, torch.ones_like(h), sigma), (etas * scale).expand(steps, -1, -1), FOUR)[-1]
        last.append(there.nan_to_num(torch.inf).amin(0))
    table = torch.stack(last)
    for k, color in enumerate(COLORS):
        axes.plot(SIGMAS, table[:, k] / table.amin(-1), "o-", ms=4, color=color, label=f"β = {FOUR[k]:g}")
    axes.set(xscale="log", yscale="log", xlabel="σ", ylim=(0.9, 30))
    name = "each β at its own best η" if tuned else "one unit-energy step .05 for all"
    axes.set_title(f"Loss after {steps} steps over the best,\n{name}", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    rows = zip(SIGMAS.tolist(), (table / table.amin(-1, keepdim=True)).tolist(), strict=True)
    print(name, *(f"{sigma:.3g}: {[round(v, 3) for v in row]}" for sigma, row in rows), sep="\n")


def short(axes: Axes, steps: int = 2000) -> None:
    """The learning rate that is best for the next step, and one that is best for the last."""
    two = Bowl(torch.tensor([1.0, 0.01]).double(), torch.ones(2).double(), 0.1)
    etas, zero = torch.logspace(-3, 0.25, 60).double(), torch.zeros(()).double()
    constant = course(two, etas.expand(steps, 60), zero)
    axes.plot(greedy(two, steps)[1], color="#D55E00", label="best η for the next step")
    axes.plot(constant[:, constant[-1].argmin()], color="#0072B2", label="best constant η for the last")
    axes.set(xscale="log", yscale="log", xlabel="step")
    axes.set_title("Greedy with curvature: h = 1 and .01, σ = .1\nexpected loss", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)


def page(name: str, *panels: object) -> None:
    """Draw panels side by side."""
    figure = Figure(figsize=(13.5, 4.2), layout="constrained")
    for axes, panel in zip(figure.subplots(1, 3), panels, strict=True):
        panel(axes)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_name(name), facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    torch.set_num_threads(1)
    page("curvature.svg", radius, edges, level)
    page("longrun.svg", lambda axes: winners(axes, False), lambda axes: winners(axes, True), short)
