"""Least squares for a matrix, with data whose variances fall as a power law."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fallline.race.workload import Grid

SIZE = 32


@dataclass(frozen=True)
class Law:
    """Data x ~ N(0, C), C = R diag(i^-alpha) R^T with a random rotation R; answers W* x + noise n, n ~ N(0, 1).

    Columns of W* R are i^-beta N(0, 1), scaled so that W = 0 has risk 1. After Paquette et al., arXiv 2605.09552, of
    which we had the abstract alone: the two exponents are its, all else (sizes, normalisation, noise) is ours.
    """

    alpha: float = 1.0
    beta: float = 0.0
    noise: float = 0.3
    batch: int = 64
    size: int = SIZE

    def variances(self) -> Tensor:
        """Of the data, along R: `[size]`."""
        return torch.arange(1, self.size + 1, dtype=torch.float64) ** -self.alpha

    def rotation(self, source: torch.Generator) -> Tensor:
        """R, orthogonal."""
        return torch.linalg.qr(torch.randn(self.size, self.size, generator=source, dtype=torch.float64)).Q

    def target(self, source: torch.Generator) -> Tensor:
        """W* R: `[size, size]`, a row for each answer."""
        shape = torch.arange(1, self.size + 1, dtype=torch.float64) ** -self.beta
        free = torch.randn(self.size, self.size, generator=source, dtype=torch.float64) * shape
        return free / self.risk(free).sqrt()

    def risk(self, error: Tensor) -> Tensor:
        """E |(W - W*) x|^2 per answer, for (W - W*) R `[..., size, size]`."""
        return (error.square() * self.variances()).sum((-2, -1)) / self.size

    def data(self, rotation: Tensor, source: torch.Generator) -> tuple[Tensor, Tensor]:
        """A batch: x `[batch, size]`, and the noise of its answers."""
        x, n = (torch.randn(self.batch, self.size, generator=source, dtype=torch.float64) for _ in range(2))
        return x * self.variances().sqrt() @ rotation.T, self.noise * n


class Fit:
    """A task: W from 0, a fresh batch at every step, and the exact risk to validate."""

    def __init__(self, law: Law, seed: int) -> None:
        self.law, self.source = law, torch.Generator().manual_seed(seed)
        self.rotation = law.rotation(self.source)
        self.target = law.target(self.source) @ self.rotation.T
        self.w = nn.Parameter(torch.zeros(law.size, law.size))

    def parameters(self) -> Iterable[nn.Parameter]:
        """W."""
        return [self.w]

    def loss(self) -> Tensor:
        """Half the mean squared error per sample."""
        x, n = (part.float() for part in self.law.data(self.rotation, self.source))
        return (x @ (self.w - self.target.float()).T - n).square().sum(1).mean() / 2

    @torch.no_grad()
    def validate(self) -> float:
        """The risk, without the noise that nobody can learn."""
        return float(self.law.risk((self.w.double() - self.target) @ self.rotation))


@dataclass(frozen=True)
class PowerLaw:
    """The workload: a law, raced with the matrix optimizers in mind."""

    law: Law = Law(2.0, 0.0)
    name: str = "power-law"
    title: str = "least squares for a 32 x 32 matrix, data variances i^-2"
    metric: str = "risk per answer"
    steps: int = 300
    quick_steps: int = 100

    @property
    def grids(self) -> dict[str, Grid]:
        """SGD first."""
        return {
            "sgd": Grid((0.03, 0.1, 0.3, 1.0), (0.1, 0.3)),
            "adamw": Grid((3e-3, 1e-2, 3e-2, 0.1), (1e-2, 3e-2, 0.1)),
        }

    def fingerprint(self, data: Path | None) -> str:
        """Everything that defines the problem."""
        return f"{self.law} 1"

    def task(self, seed: int, data: Path | None) -> Fit:
        """Target, rotation and batches of one seed."""
        return Fit(self.law, seed)


POWER_LAW = PowerLaw()
