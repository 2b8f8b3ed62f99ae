"""Draws docs/theory/stability.svg: wrong choices and regret, bound against simulation."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure

from fallline.theory import (
    Autocorrelation,
    Bank,
    EnergyBall,
    cantelli,
    gaussian,
    momentum,
    noisy,
    regret_limit,
    round_limit,
)

matplotlib.rcParams["svg.hashsalt"] = "fallline"  # the same numbers give the same file

RUNS = 20_000
SAMPLES = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)


def wrong(lead: torch.Tensor, n: int, generator: torch.Generator) -> float:
    """How often the mean of n normal samples of three pays misses the best; unit noise."""
    x = torch.randn(RUNS, 3, generator=generator, dtype=torch.float64) / n**0.5
    return float(((x - torch.cat([torch.zeros(1), lead])).argmax(1) != 0).double().mean())


def choices(axes) -> None:
    """The chance of a wrong choice among three, for two leads."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.full((2,), 2.0).sqrt().double()
    for size, color in ((0.3, "#1565c0"), (1.0, "#ef6c00")):
        lead = torch.full((2,), size).double()
        seen = [wrong(lead, n, generator) for n in SAMPLES]
        axes.loglog(SAMPLES, [max(x, 1e-9) for x in seen], "o-", color=color, label=f"lead {size:g}: simulated", ms=4)
        axes.loglog(
            SAMPLES, [gaussian(lead, spread, n) for n in SAMPLES], "--", color=color, label="sub-Gaussian bound"
        )
        axes.loglog(
            SAMPLES, [cantelli(lead, spread, n) for n in SAMPLES], ":", color=color, label="variance only (Cantelli)"
        )
    axes.set(xlabel="independent samples", ylabel="chance of a wrong choice", ylim=(2e-4, 1.5))
    axes.set_title("three candidates; lead in units of the noise")
    axes.legend(frameon=False, fontsize=8)


def losses(axes) -> None:
    """Regret of random errors in R: all filters of 50 taps, and a bank of three momenta."""
    r, generator = noisy(1.0, 1.0, 0.9, 50), torch.Generator().manual_seed(0)
    R, ball = Autocorrelation(r[:, None, None]), EnergyBall()
    bank = Bank(torch.nn.functional.normalize(torch.stack([momentum(x, 1.0, 50) for x in (0.5, 0.9, 0.99)])))
    error = torch.logspace(-2, 1, 150).double() * r.norm()
    whole, few = [], []
    for far in error:
        d = torch.randn(50, generator=generator, dtype=torch.float64)
        other = r + d * far / d.norm()
        whole.append(float(ball.support(R) - ball.optimum(Autocorrelation(other[:, None, None])).power(R)))
        few.append(float(bank.pays(r).max() - bank.pays(r)[bank.best(other)]))
    x = (error / r.norm()).tolist()
    axes.loglog(x, [max(w, 1e-9) for w in whole], ".", ms=4, color="#2e7d32", label="all FIR filters: simulated")
    axes.loglog(x, [max(w, 1e-9) for w in few], "x", ms=4, color="#6a1b9a", label="three momenta: simulated")
    axes.loglog(x, [regret_limit(1.0, float(far)) for far in error], "k--", label="2 radius |R − R′|")
    axes.loglog(
        x, [round_limit(1.0, float(far), float(r.norm())) for far in error], "k:", label="round ball: |R − R′|² / |R|"
    )
    axes.set(xlabel="|R − R′| / |R|", ylabel="power lost", ylim=(1e-4, 200))
    axes.set_title("regret of the wrong statistics")
    axes.legend(frameon=False, fontsize=8)


def draw() -> Figure:
    """Two panels."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    choices(left)
    losses(right)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_name("stability.svg"), facecolor="white", metadata={"Date": None})
