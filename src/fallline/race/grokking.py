"""Sums modulo a prime: a small network learns the table by heart long before it understands it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fallline.race.workload import Grid

PRIME, HIDDEN, SEEN = 31, 128, 0.8


class ModularSum:
    """c = a + b modulo 31 from one-hot a and b `[N, 62]`; every batch is all that may be seen of the table."""

    def __init__(self, seed: int) -> None:
        source = torch.Generator().manual_seed(seed)
        a, b = torch.cartesian_prod(torch.arange(PRIME), torch.arange(PRIME)).T
        order = torch.randperm(PRIME**2, generator=source)
        inputs, sums = torch.cat([F.one_hot(a, PRIME), F.one_hot(b, PRIME)], 1).float()[order], ((a + b) % PRIME)[order]
        seen = int(SEEN * PRIME**2)
        self.seen, self.unseen = (inputs[:seen], sums[:seen]), (inputs[seen:], sums[seen:])
        self.model = nn.Sequential(nn.Linear(2 * PRIME, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PRIME, bias=False))
        for p in self.model.parameters():
            p.data = torch.zeros(HIDDEN) if p.dim() == 1 else start(p, source)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The network's weights."""
        return self.model.parameters()

    def loss(self) -> Tensor:
        """Cross-entropy of all pairs that may be seen."""
        return F.cross_entropy(self.model(self.seen[0]), self.seen[1])

    def validate(self) -> float:
        """Share of wrong answers among pairs never seen."""
        return 1 - self.right(self.unseen)

    @torch.no_grad()
    def right(self, pairs: tuple[Tensor, Tensor]) -> float:
        """Share of right answers."""
        inputs, sums = pairs
        return float((self.model(inputs).argmax(1) == sums).float().mean())


def start(p: Tensor, source: torch.Generator) -> Tensor:
    """Normal with variance 2 / inputs."""
    return torch.randn(p.shape, generator=source) * (2 / p.shape[1]) ** 0.5


@dataclass(frozen=True)
class Grokking:
    """The workload: modular addition, whole batches, decoupled decay, no momentum needed."""

    name: str = "grokking"
    title: str = "sums modulo 31 by an MLP that sees 80 % of the table"
    metric: str = "wrong answers among unseen pairs"
    steps: int = 3000
    quick_steps: int = 600

    @property
    def grids(self) -> dict[str, Grid]:
        """SGD first: its plateau is the subject."""
        return {
            "sgd": Grid((1.5, 3.0, 6.0), (6.0,), weight_decay=1e-3),
            "adamw": Grid((1e-3, 3e-3, 1e-2), (3e-3,), weight_decay=0.1),
        }

    def fingerprint(self, data: Path | None) -> str:
        """Everything that defines the problem."""
        return f"modulo {PRIME} hidden {HIDDEN} seen {SEEN} 1"

    def task(self, seed: int, data: Path | None) -> ModularSum:
        """Weights and split of one seed."""
        return ModularSum(seed)


GROKKING = Grokking()
