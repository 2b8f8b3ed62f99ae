"""Grokking's plateau: how long a network that knows what it saw takes to know the rest, and what shortens that time.

After Saheb Pasand & Dohmatob, arXiv 2510.04930 (EGD): their problem is theirs but for size (a sum modulo 31, not 79 to
127; 128 hidden units, not 512; whole batches; 80 % seen, not 50 %), their code orthogonalises the first layer alone and
goes back to plain descent at 95 %, we orthogonalise both and do not. Decay is decoupled except for torch's SGD. Two
controls ask what of EGD does it: Kaon keeps the singular vectors and makes the singular values a chaotic map's noise,
"length" keeps the gradient and fixes its length alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from fallline.metrics.polar import Polar
from fallline.race.grokking import ModularSum
from fallline.zoo.egd import EGD
from fallline.zoo.freon import chaos
from fallline.zoo.routed import BY_SHAPE

KNOWN = 0.95
EVERY = 10


@final
@dataclass(frozen=True)
class Ray(Polar):
    """X / norm_F(X) sqrt(min(m, n)): as long as a polar factor, but with the gradient's own spectrum."""

    def __call__(self, x: Tensor) -> Tensor:
        return x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-30) * min(x.shape[-2:]) ** 0.5


@dataclass(frozen=True)
class Walker:
    """A contender at the lr and decay that were best for it on a small grid, and how many steps it is given."""

    build: Callable[[ModularSum], Optimizer]
    steps: int


def egd(lr: float, decay: float, polar: Polar | None = None) -> Callable[[ModularSum], Optimizer]:
    """EGD of both layers, with one way or another to set singular values."""
    return lambda task: EGD(task.parameters(), lr, decay, polar=polar, roles=BY_SHAPE)


WALKERS = {
    "SGD": Walker(lambda task: torch.optim.SGD(task.parameters(), 6.0, weight_decay=1e-3), 4000),
    "EGD": Walker(egd(1.5, 0.02), 400),
    "EGD, chaotic spectrum": Walker(egd(1.5, 0.02, chaos(5)), 400),
    "EGD, length alone": Walker(egd(0.5, 0.05, Ray()), 1000),
}


@dataclass(frozen=True)
class Journey:
    """The steps after which 95 % of the seen and of the unseen sums are right; None for never."""

    fitted: int | None
    grokked: int | None

    @property
    def plateau(self) -> float:
        """Steps between the two."""
        return float("inf") if self.fitted is None or self.grokked is None else self.grokked - self.fitted


def journey(name: str, seed: int = 0, steps: int | None = None) -> Journey:
    """Train until the unseen sums are right, or the steps are used up."""
    walker, task = WALKERS[name], ModularSum(seed)
    optimizer, fitted = walker.build(task), None
    for step in range((walker.steps if steps is None else steps) + 1):
        if step % EVERY == 0:
            fitted = step if fitted is None and task.right(task.seen) >= KNOWN else fitted
            if task.right(task.unseen) >= KNOWN:
                return Journey(fitted, step)
        optimizer.zero_grad()
        task.loss().backward()
        optimizer.step()
    return Journey(fitted, None)


@dataclass(frozen=True)
class Plateaus:
    """Journeys by contender, one for each seed, and what is not as it should be."""

    journeys: dict[str, tuple[Journey, ...]]
    faults: tuple[str, ...]


def table(seeds: int = 3) -> Plateaus:
    """All journeys, and the facts of `order`."""
    found = {name: tuple(journey(name, seed) for seed in range(seeds)) for name in WALKERS}
    return Plateaus(found, tuple(order(found)))


def order(found: dict[str, tuple[Journey, ...]]) -> list[str]:
    """What is said of EGD, and of its controls, and does not hold here."""
    longest = {name: max(one.plateau for one in journeys) for name, journeys in found.items()}
    slow = min(one.plateau for one in found["SGD"])
    facts = {
        "SGD learns what it saw long before the rest": all(
            j.fitted is not None and j.plateau > 5 * j.fitted for j in found["SGD"]
        ),
        "EGD's plateau is at most a tenth of SGD's": longest["EGD"] <= slow / 10,
        "a chaotic spectrum does as well": longest["EGD, chaotic spectrum"] <= slow / 10,
        "most of it is the length of the step": longest["EGD, length alone"] <= slow / 4,
    }
    return [f"not so: {fact}" for fact, holds in facts.items() if not holds]
