"""Two tables of what a metric makes of data whose variances fall as a power law (after "Phases of Muon").

    drift    E<direction(G) r_i, (W - W*) r_i> / |(W - W*) r_i|^2  ~  variance_i^exponent,   the 12 largest variances
    risk     after a run at each metric's best lr, which falls to 0 linearly

What the paper's abstract says, and the tables show in our setting: the polar factor (SignSVD) turns G's exponent 1 into
1/2 for large batches and leaves it near 1 for small ones, signs do nothing of the kind, and without anisotropy the two
are equal but for a constant. The exponent 1/2 needs residuals that fill all directions of a batch, here label noise 10:
polar(R^T X) is about (W - W*) X^T X (X^T X)^(-1/2). Without noise it is nearer to 0 (pure Newton).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fallline.core.memory import Memory
from fallline.core.part import Metric
from fallline.metrics import SVD, Euclid, Sign, Spectral
from fallline.race.powerlaw import Law

METRICS: dict[str, Metric] = {"SGD": Euclid(), "SignSGD": Sign(), "SignSVD": Spectral(SVD())}
LRS = {"SGD": 0.1, "SignSGD": 0.004, "SignSVD": 0.02}  # each times 2^-3 .. 2^5
BATCHES = (4, 16, 64, 256)
ALPHAS = (0.0, 1.0, 2.0)
NOW = torch.ones((), dtype=torch.float64)


def direction(name: str, g: Tensor) -> Tensor:
    """What a metric makes of a stack of gradients."""
    return METRICS[name].direction(g, Memory({}), NOW)


def drift(name: str, law: Law, draws: int, seed: int = 0) -> Tensor:
    """Mean progress of each eigendirection per unit of what is left to do: `[size]`.

    Each draw is used twice, with and against its label noise, so that what noise alone does cancels.
    """
    source = torch.Generator().manual_seed(seed)
    rotation, left = law.rotation(source), law.target(source)
    moved = torch.zeros_like(left)
    for _ in range(draws):
        x, n = law.data(rotation, source)
        residual = x @ rotation @ left.T
        pair = direction(name, torch.stack([(residual + n).T @ x, (residual - n).T @ x]))
        moved += pair.mean(0) @ rotation
    return (moved * left).sum(0) / left.square().sum(0) / draws


def exponent(name: str, law: Law, draws: int, top: int = 12) -> float:
    """Slope of log drift over log variance, over the largest variances."""
    x, y = law.variances()[:top].log(), drift(name, law, draws)[:top].clamp_min(1e-12).log()
    x = x - x.mean()
    return float((x * y).sum() / x.square().sum())


def risks(name: str, law: Law, steps: int, seed: int = 0) -> Tensor:
    """The risk after a run at every lr of the metric's grid: `[lrs]`."""
    source = torch.Generator().manual_seed(seed)
    rotation, lrs = law.rotation(source), LRS[name] * 2.0 ** torch.arange(-3, 6, dtype=torch.float64)
    error = (-law.target(source) @ rotation.T).expand(len(lrs), -1, -1)
    for step in range(steps):
        x, n = law.data(rotation, source)
        g = (error @ x.T - n.T) @ x / law.batch
        error = error - (lrs * (1 - step / steps))[:, None, None] * direction(name, g)
    return law.risk(error @ rotation).nan_to_num(torch.inf)


@dataclass(frozen=True)
class Phases:
    """Exponents by batch and metric, risks by alpha and metric, and what is not as it should be."""

    exponents: dict[str, tuple[float, ...]]
    risks: dict[str, tuple[float, ...]]
    faults: tuple[str, ...]


def table(draws: int = 300, steps: int = 100) -> Phases:
    """Both tables, and the facts of `order`."""
    noisy = [Law(1.0, 0.0, 10.0, batch, 48) for batch in BATCHES]
    slopes = {name: tuple(exponent(name, law, draws) for law in noisy) for name in METRICS}
    best = {name: tuple(float(risks(name, Law(alpha), steps).min()) for alpha in ALPHAS) for name in METRICS}
    return Phases(slopes, best, tuple(order(slopes, best)))


def order(slopes: dict[str, tuple[float, ...]], best: dict[str, tuple[float, ...]]) -> list[str]:
    """What is said of the metrics and does not hold here."""
    plain, signs, polar = (best[name] for name in METRICS)
    facts = {
        "SGD moves with exponent 1": all(abs(s - 1) < 0.1 for s in slopes["SGD"]),
        "signs move with exponent 1": all(abs(s - 1) < 0.25 for s in slopes["SignSGD"]),
        "the polar factor of large batches moves with exponent 1/2": abs(slopes["SignSVD"][-1] - 0.5) < 0.1,
        "the smaller the batch, the nearer to 1": list(slopes["SignSVD"]) == sorted(slopes["SignSVD"], reverse=True),
        "without anisotropy signs and polar factor are equal but for a constant": 0.5 < signs[0] / polar[0] < 2,
        "the polar factor beats signs and SGD where variances fall steeply": polar[-1] < min(signs[-1], plain[-1]) / 2,
    }
    return [f"not so: {fact}" for fact, holds in facts.items() if not holds]
