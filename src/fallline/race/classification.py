"""Workloads that predict a class, or the next character, from a table of inputs."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fallline.race.workload import Grid


@dataclass(frozen=True)
class Split:
    """Data of a workload: inputs `[N, ...]` and class numbers `[N]` or `[N, T]`, for training and validation."""

    inputs: Tensor
    targets: Tensor
    valid_inputs: Tensor
    valid_targets: Tensor
    classes: int

    def digest(self) -> str:
        """A fingerprint of the numbers; of long tables a thousandth is read."""
        hasher = sha256()
        for table in (self.inputs, self.targets, self.valid_inputs, self.valid_targets):
            hasher.update(str(tuple(table.shape)).encode())
            hasher.update(table[:: max(1, len(table) // 1000)].contiguous().numpy().tobytes())
        return hasher.hexdigest()[:12]


def cross_entropy(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats per target."""
    return F.cross_entropy(model(inputs).flatten(0, -2), targets.flatten())


class Supervised:
    """A task that draws batches with replacement from a split."""

    def __init__(self, split: Split, model: nn.Module, batch: int, seed: int) -> None:
        self.split, self.model, self.batch = split, model, batch
        self.generator = torch.Generator().manual_seed(seed)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The model's weights."""
        return self.model.parameters()

    def loss(self) -> Tensor:
        """Cross-entropy on the next random batch."""
        rows = torch.randint(len(self.split.inputs), (self.batch,), generator=self.generator)
        return cross_entropy(self.model, self.split.inputs[rows], self.split.targets[rows])

    @torch.no_grad()
    def validate(self) -> float:
        """Cross-entropy on the whole validation set."""
        return cross_entropy(self.model, self.split.valid_inputs, self.split.valid_targets).item()


@cache
def load(source: Callable[[Path | None], Split], data: Path | None) -> Split:
    """A workload's data, read once per process."""
    return source(data)


@dataclass(frozen=True)
class Classification:
    """A workload made of a data source and a model."""

    name: str
    title: str
    source: Callable[[Path | None], Split]
    model: Callable[[Split], nn.Module]
    batch: int
    steps: int
    quick_steps: int
    lrs: tuple[tuple[str, Grid], ...]
    metric: str = "validation loss (nats)"

    @property
    def grids(self) -> dict[str, Grid]:
        """Sweep per optimizer family, the default family first."""
        return dict(self.lrs)

    def fingerprint(self, data: Path | None) -> str:
        """Digest of the data, the batch size and the source text of the file that defines the model."""
        code = Path(inspect.getfile(self.model)).read_bytes()
        return sha256(f"{load(self.source, data).digest()} {self.batch}".encode() + code).hexdigest()[:12]

    def task(self, seed: int, data: Path | None) -> Supervised:
        """Weights and batches of one seed; the caller's random state is left as it was."""
        split = load(self.source, data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.model(split)
        return Supervised(split, model, self.batch, seed)
