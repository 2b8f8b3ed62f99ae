"""Quadratics of which all is known: the gain of each step, and the largest stable lr.

    loss(W) = <W, H W> / 2 + <noise, W>,    or of a batch of samples x, with H W = W E[x x^T]: mean_x |W x|^2 / 2 + ...

What the best step along a direction d really gains is <H W, d>^2 / (2 <d, H d>).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from fallline.listen import curvature
from fallline.listen.counsel import ceiling

SIZE = (24, 16)

Bend = Callable[[Tensor], Tensor]  # d -> H d


def turned(n: int, g: torch.Generator) -> Tensor:
    """A random rotation."""
    return torch.linalg.qr(torch.randn(n, n, generator=g))[0]


def spread(n: int, few: int, sharp: float = 30.0) -> Tensor:
    """A few eigenvalues that are sharp, and ones."""
    return torch.where(torch.arange(n) < few, sharp, 1.0)


def even(g: torch.Generator) -> Bend:
    """H = 1."""
    return lambda d: d


def coordinates(g: torch.Generator) -> Bend:
    """Six coordinates are sharp."""
    h = spread(384, 6)[torch.randperm(384, generator=g)].view(SIZE)
    return lambda d: h * d


def rotated(g: torch.Generator) -> Bend:
    """Six directions are, of no form."""
    q, h = turned(384, g), spread(384, 6)
    return lambda d: (q @ (h * (q.T @ d.flatten()))).view(SIZE)


def rows(g: torch.Generator) -> Bend:
    """A row is."""
    h = spread(24, 1)[torch.randperm(24, generator=g)][:, None]
    return lambda d: h * d


def halves(g: torch.Generator) -> Bend:
    """Half of the rows are a little sharper, so that rows of equal norm gain 10 % more, or less: hardest to tell."""
    h = spread(24, 12, 2.6)[:, None]
    return lambda d: h * d


def left(g: torch.Generator) -> Bend:
    """A direction of columns is."""
    q = turned(24, g)
    h = q * spread(24, 1) @ q.T
    return lambda d: h @ d


def both(g: torch.Generator) -> Bend:
    """Kronecker: a direction of columns and one of rows are."""
    q, one = turned(16, g), left(g)
    h = q * spread(16, 1) @ q.T
    return lambda d: one(d) @ h


@dataclass(frozen=True)
class Valley:
    """A problem, and the optimizer that walks it.

    noise: of the gradient, as a multiple of its RMS at the start. used: momentum. walk: lr while the ear hears; 0: it
    stays where it is. lr: then, as a multiple of the most that is stable; 0: as while it walked. batch: samples whose
    curvature differs, 0 for none (H is then that of `bend`). hope: families that win by much.
    """

    name: str
    bend: Callable[[torch.Generator], Bend]
    noise: float
    adam: bool = False
    used: float = 0.9
    walk: float = 0.0
    lr: float = 0.0
    batch: int = 0
    hope: tuple[str, ...] = ()


class Walk(nn.Module):
    """One run."""

    def __init__(self, valley: Valley, seed: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.hidden, self.out = nn.Linear(SIZE[1], SIZE[0], bias=False), nn.Linear(SIZE[0], 2).requires_grad_(False)
        self.hidden.weight.data.normal_(generator=g)
        self.valley, self.bend = valley, valley.bend(g)
        self.sizes = spread(SIZE[1], 1, 5.0).sqrt() if valley.batch else torch.ones(SIZE[1])
        self.noise = valley.noise * float(self.slope().square().mean().sqrt())

    def curved(self, d: Tensor) -> Tensor:
        """H d."""
        return self.bend(d) * self.sizes.square()

    def slope(self) -> Tensor:
        """H W."""
        return self.curved(self.hidden.weight.detach())

    def loss(self) -> Tensor:
        """Of a batch; it draws from torch's random numbers, as the batches of many scripts do."""
        w, noise = self.hidden.weight, self.noise * torch.randn(SIZE)
        if self.valley.batch:
            x = torch.randn(self.valley.batch, SIZE[1]) * self.sizes
            return (w @ x.T).square().sum() / (2 * self.valley.batch) + (noise * w).sum()
        return (w * self.bend(w)).sum() / 2 + (noise * w).sum()

    def gains(self, ways: list[Tensor]) -> dict[str, float]:
        """Of the best step along each family's direction; 0 where no step gains."""
        down = [(float((self.slope() * d).sum()), float((d * self.curved(d)).sum())) for d in ways]
        return {f: max(s, 0.0) ** 2 / (2 * b) for f, (s, b) in zip(curvature.FAMILIES, down, strict=True)}

    def most(self, v: Tensor) -> float:
        """The largest stable lr, with the second moment v: (1 + momentum) 2 / lambda, for Adam over 1 - momentum.

        Of batches that differ: lambda is their mean sharpness.
        """
        metric, cost = ("diagonal", v.sqrt()) if self.valley.adam else ("euclid", torch.ones(SIZE))
        bear = 2 * ceiling(metric, self.valley.used)
        if self.valley.batch:
            return bear / fmean(self.sharp() for _ in range(2000))
        x = torch.randn(SIZE)
        for _ in range(300):
            x = self.curved(x / x.norm()) / cost
        return bear / float(x.norm())

    def sharp(self) -> float:
        """<g, H g> / |g|^2 of a batch of samples."""
        x = torch.randn(self.valley.batch, SIZE[1]) * self.sizes
        h = x.T @ x / self.valley.batch
        g = self.hidden.weight.detach() @ h + self.noise * torch.randn(SIZE)
        return float((g @ h * g).sum() / g.square().sum())


VALLEYS = (
    Valley("even", even, 0.1),
    Valley("even, noise 3", even, 3),
    Valley("even, noise 30", even, 30),
    Valley("even, at rest", even, 3, walk=0.01),
    Valley("even, on its way", even, 1, walk=0.0005),
    Valley("rotated", rotated, 0.1),
    Valley("rotated, noise 3", rotated, 3),
    Valley("coordinates, AdamW", coordinates, 0.1, adam=True),
    Valley("half of the rows", halves, 0.05),
    Valley("half of the rows, noise 1", halves, 1),
    Valley("batches of 16", even, 0.1, batch=16),
    Valley("batches of 4", even, 0.1, batch=4),
    Valley("coordinates", coordinates, 0.1, hope=("diagonal",)),
    Valley("coordinates, noise 1", coordinates, 1, hope=("diagonal",)),
    Valley("rows", rows, 0.1, hope=("row",)),
    Valley("left", left, 0.1, hope=("spectral",)),
    Valley("left, AdamW", left, 0.1, adam=True, hope=("spectral",)),
    Valley("both sides", both, 0.1, hope=("spectral",)),
    Valley("even, AdamW", even, 0.1, adam=True, hope=("euclid",)),
    Valley("even, lr .3 of the most", even, 1, lr=0.3),
    Valley("even, lr at the most", even, 1, lr=1),
    Valley("even, momentum 0, lr at the most", even, 1, used=0.0, lr=1),
    Valley("even, AdamW, noise 10, lr at the most", even, 10, adam=True, lr=1),
    Valley("batches of 4, momentum 0, lr at the most", even, 0.1, used=0.0, lr=1, batch=4),
    Valley("even, lr 3 times the most", even, 1, lr=3, hope=("lr",)),
    Valley("even, momentum 0, lr 3 times the most", even, 1, used=0.0, lr=3, hope=("lr",)),
    Valley("even, AdamW, noise 10, lr 3 times the most", even, 10, adam=True, lr=3, hope=("lr",)),
    Valley("batches of 4, momentum 0, lr 3 times the most", even, 0.1, used=0.0, lr=3, batch=4, hope=("lr",)),
    Valley("rows, noise .1, lr 3 times the most", rows, 0.1, lr=3, hope=("row", "lr")),
    Valley("left, noise 3, lr 3 times the most", left, 3, lr=3, hope=("lr",)),
)
