"""An ill-conditioned quadratic with white gradient noise: the problem where everything can be computed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fallline.race.workload import Grid

SIZE = 200


def curvatures() -> Tensor:
    """lambda `[200]`: log-spaced from 10^-2.5 to 1."""
    return torch.logspace(-2.5, 0, SIZE, dtype=torch.float64)


class NoisyBowl:
    """L(x) = 1/2 sum lambda x^2 from x_0 ~ N(0, 1), gradient lambda x + sigma n with n ~ N(0, 1)."""

    def __init__(self, sigma: float, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.curvature, self.sigma = curvatures().float(), sigma
        self.x = nn.Parameter(torch.randn(SIZE, generator=self.generator))
        self.seen: list[float] = []

    def parameters(self) -> Iterable[nn.Parameter]:
        """The point x."""
        return [self.x]

    def loss(self) -> Tensor:
        """L(x) without the noise, whose gradient has it."""
        noise = torch.randn(SIZE, generator=self.generator).mul(self.sigma)
        loss = self.curvature.mul(self.x.square()).sum().div(2)
        self.seen.append(loss.item())
        tilt = self.x.mul(noise).sum()
        return loss + tilt - tilt.detach()

    def validate(self) -> float:
        """Mean of L over the run so far: speed and noise floor in one number."""
        return sum(self.seen) / max(1, len(self.seen))


@dataclass(frozen=True)
class Quadratic:
    """The workload; sigma is the gradient noise per coordinate."""

    sigma: float = 0.1
    name: str = "quadratic"
    title: str = "a quadratic with 200 eigenvalues from 10^-2.5 to 1 and noise .1"
    metric: str = "mean loss over the run"
    steps: int = 3000
    quick_steps: int = 1000

    @property
    def grids(self) -> dict[str, Grid]:
        """SGD first; AdamW on a diagonal problem is close to sign descent and there for completeness."""
        return {
            "sgd": Grid((3e-3, 1e-2, 3e-2, 0.1, 0.3), (1e-2, 3e-2, 0.1)),
            "adamw": Grid((1e-3, 3e-3, 1e-2, 3e-2), (3e-3, 1e-2, 3e-2)),
        }

    def fingerprint(self, data: Path | None) -> str:
        """Everything that defines the problem."""
        return f"sigma {self.sigma} size {SIZE} 1"

    def task(self, seed: int, data: Path | None) -> NoisyBowl:
        """Start point and noise of one seed."""
        return NoisyBowl(self.sigma, seed)


QUADRATIC = Quadratic()
