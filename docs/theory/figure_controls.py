"""Draws docs/theory/controls.svg and prints its table: what is momentum's, and what is the learning rate's?

The noisy quadratic of fallline.race.check, the learning rate tuned for every row. Run it as a script.
Mean loss over the run, mean of the seeds, at the best eta of .0125, .025, ... .8. Steps are eta * scale * buf.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from fallline.race import check

matplotlib.rcParams["svg.hashsalt"] = "fallline"
from matplotlib.figure import Figure  # noqa: E402

GRID = 0.0125 * 2.0 ** torch.arange(7, dtype=torch.float64)[:, None, None, None]  # [eta, sigma, seed, coordinate]
BETA = torch.tensor(check.MOMENTA, dtype=torch.float64)
ENERGY = (1 - BETA**2).sqrt()  # steps of unit energy
GAIN = ((1 + BETA) / (1 - BETA)).sqrt()  # their sum of taps: the effective learning rate over eta

ROWS = (
    "best fixed β",
    "best fixed β, cosine",
    "greedy (held out, EMA .99)",
    "greedy, constant effective lr",
    "replay of another seed's β",
    "β = 0, greedy's effective lr",
)
# What the research sheet found with another script, at sigma .05, .1, .3 and seeds 0 and 1.
SHEET = (
    (0.0833, 0.1661, 0.4754),
    (0.0599, 0.1254, 0.3853),
    (0.0647, 0.1254, 0.3891),
    (0.0916, 0.1785, 0.5017),
    (0.0670, 0.1259, 0.3932),
    (0.0547, 0.1119, 0.3828),
)


def fixed(s: check.Stream, schedule: Tensor) -> Tensor:
    """Mean loss of every beta at every eta, [K, eta, sigma]; schedule [T] multiplies eta."""
    x, buf, total = s.start, torch.zeros(()), torch.zeros(())
    beta, energy = (t[:, None, None, None, None] for t in (BETA, ENERGY))
    for noise, rate in zip(s.noise, schedule, strict=True):
        buf = beta * buf + check.noisy(x, noise)
        x = x - GRID * rate * energy * buf
        total = total + check.loss(x)
    return total.mean(-1) / len(s.noise)


def greedy(s: check.Stream, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss [eta, sigma] and the path of choices [T, eta, sigma, seed]; held-out pay, averaged with .99."""
    x = s.start.expand(len(GRID), len(check.SIGMAS), *s.start.shape)
    beta, energy = (t[:, None, None, None, None] for t in (BETA, ENERGY))
    buf, pay, total, path = torch.zeros(len(BETA), *x.shape, dtype=x.dtype), torch.zeros(()), torch.zeros(()), []
    for noise in s.noise:
        g = check.noisy(x, noise)
        pay = 0.99 * pay + 0.01 * (energy * beta * buf * g).sum(-1)
        buf = beta * buf + g
        path.append(pay.argmax(0))
        x = x - GRID * scale[path[-1]][..., None] * buf.gather(0, path[-1][None, ..., None].expand(1, *x.shape))[0]
        total = total + check.loss(x)
    return total.mean(-1) / len(s.noise), torch.stack(path)


def replayed(s: check.Stream, path: Tensor) -> Tensor:
    """Mean loss [eta, sigma] of a path of choices that no longer looks."""
    buf, x, total = torch.zeros(len(BETA), *path.shape[1:], s.start.shape[-1]).double(), s.start, torch.zeros(())
    for noise, choice in zip(s.noise, path, strict=True):
        buf = BETA[:, None, None, None, None] * buf + check.noisy(x, noise)
        x = x - GRID * ENERGY[choice][..., None] * buf.gather(0, choice[None, ..., None].expand(1, *buf.shape[1:]))[0]
        total = total + check.loss(x)
    return total.mean(-1) / len(s.noise)


def rated(s: check.Stream, path: Tensor) -> Tensor:
    """Mean loss [eta, sigma] of no momentum, with the effective learning rates of a path of choices."""
    x, total = s.start, torch.zeros(())
    for noise, choice in zip(s.noise, path, strict=True):
        x = x - GRID * GAIN[choice][..., None] * check.noisy(x, noise)
        total = total + check.loss(x)
    return total.mean(-1) / len(s.noise)


def measure(seeds: int = 2, steps: int = 3000) -> tuple[Tensor, Tensor]:
    """The table [rows, sigma], sigma = 0 first, and greedy's path at its best eta [T, sigma] of seed 0."""
    s, flat = check.stream(seeds, steps), torch.ones(steps, dtype=torch.float64)
    cosine = (1 + torch.cos(torch.pi * torch.arange(steps) / steps)) / 2
    own, path = greedy(s, ENERGY)
    rows = [fixed(s, flat).flatten(0, 1), fixed(s, cosine).flatten(0, 1), own, greedy(s, 1 - BETA)[0]]
    rows += [replayed(s, path.roll(1, -1)), rated(s, path)]
    taken = path[:, own.nan_to_num(torch.inf).argmin(0), torch.arange(own.shape[1]), 0]
    return torch.stack([row.nan_to_num(torch.inf).amin(0) for row in rows]), taken


def markdown(table: Tensor) -> str:
    """The table as a page shows it."""
    lines = [" | ".join((name, *(f"{v:.4f}" for v in row))) for name, row in zip(ROWS, table.tolist(), strict=True)]
    head = " | ".join(("", *(f"σ = {s:g}" for s in check.SIGMAS)))
    return "\n".join(f"| {line} |" for line in (head, "|".join(["---"] * (1 + len(check.SIGMAS))), *lines))


def draw(table: Tensor, path: Tensor) -> Figure:
    """Left: rows against the best fixed momentum. Right: the effective learning rate that greedy walks through."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    colors = ("#90a4ae", "#455a64", "#D55E00", "#CC79A7", "#009E73", "#0072B2")
    for k, (name, color) in enumerate(zip(ROWS, colors, strict=True)):
        where = torch.arange(3) + 0.13 * (k - 2.5)
        left.bar(where, table[k, 1:] / table[0, 1:], 0.12, color=color, label=name)
    left.axhline(1, color="#90a4ae", lw=0.8)
    left.set_xticks(range(3), [f"σ = {s:g}" for s in check.SIGMAS[1:]])
    left.set_title("Mean loss over that of the best fixed β, η tuned", loc="left", fontsize=11)
    left.set_ylim(0, 1.5)
    left.legend(fontsize=8, ncols=2, frameon=False, loc="upper left")
    for k, color in zip((1, 2, 3), ("#56B4E9", "#0072B2", "#08306b"), strict=True):
        smooth = GAIN[path[:, k]].unfold(0, 50, 50).mean(-1)
        right.plot(25 + 50 * torch.arange(len(smooth)), smooth, color=color, label=f"σ = {check.SIGMAS[k]:g}")
    right.set_title("Greedy's effective lr over η, mean of 50 steps", loc="left", fontsize=11)
    right.set_xlabel("step")
    right.set_yscale("log")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    table, path = measure()
    print(markdown(table))
    draw(table, path).savefig(Path(__file__).with_name("controls.svg"), facecolor="white", metadata={"Date": None})
