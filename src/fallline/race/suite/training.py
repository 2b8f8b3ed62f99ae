"""What every problem of the suite is made of: a model, what a batch costs, and what is measured on unseen data."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn

Cost = Callable[[nn.Module, Generator], Tensor]
Measure = Callable[[nn.Module], float]
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class Training:
    """A task of the race: `cost(model, generator)` of the next batch, `measure(model)` in evaluation mode.

    Both may use the weights only. Measuring leaves the task as it was, so it may be done as often as one likes.
    """

    def __init__(self, model: nn.Module, cost: Cost, measure: Measure, seed: int) -> None:
        self.model, self.cost, self.measure = model, cost, measure
        self.generator = torch.Generator().manual_seed(seed)

    def parameters(self) -> list[nn.Parameter]:
        """The weights to train; frozen ones are not among them."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def loss(self) -> Tensor:
        """The cost of the next batch."""
        return self.cost(self.model, self.generator)

    @torch.no_grad()
    def validate(self) -> float:
        """The measure."""
        with evaluating(self.model):
            return self.measure(self.model)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards mode and buffers are as they were."""
    mode, kept = model.training, [b.clone() for b in model.buffers()]
    model.eval()
    try:
        yield
    finally:
        model.train(mode)
        for buffer, old in zip(model.buffers(), kept, strict=True):
            buffer.copy_(old)


def settle(model: nn.Module, inputs: Tensor) -> None:
    """Batch norm's averages, taken anew from these inputs under the weights as they are now.

    Optimizers that measure other weights than they train (schedule-free) would be judged by stale averages otherwise;
    everybody is measured in this way.
    """
    norms = [m for m in model.modules() if isinstance(m, NORMS)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    model(inputs)
    for norm in norms:
        norm.eval()
        norm.momentum = 0.1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's random numbers from this seed; the caller's are left as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
