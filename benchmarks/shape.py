"""The lists of tensors that steps are timed on: real models' shapes, and many small tensors."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Shapes:
    """Shapes of a model's parameters. `start`: first steps in fresh processes are timed on it too."""

    name: str
    title: str
    shapes: tuple[Shape, ...]
    start: bool = False

    @property
    def numel(self) -> int:
        """Numbers in all tensors together."""
        return sum(map(prod, self.shapes))

    def tiny(self) -> Shapes:
        """A handful of small tensors of the same ranks, for smoke tests."""
        return Shapes(self.name, self.title, tuple(tuple(min(n, 6) for n in s) for s in self.shapes[:8]), self.start)


def gpt2() -> tuple[Shape, ...]:
    """GPT-2 small: two embeddings, twelve blocks of twelve tensors, a last norm; the head is tied."""
    d = 768
    attention = ((d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,))
    feedforward = ((d,), (d,), (d, 4 * d), (4 * d,), (4 * d, d), (d,))
    return ((50257, d), (1024, d), *(attention + feedforward) * 12, (d,), (d,))


def resnet50() -> tuple[Shape, ...]:
    """ResNet-50: a stem, bottlenecks of 3, 4, 6 and 3, a head of 1000 classes."""
    shapes: list[Shape] = [(64, 3, 7, 7), (64,), (64,)]
    before = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            shapes += [(width, before, 1, 1), (width,), (width,), (width, width, 3, 3), (width,), (width,)]
            shapes += [(4 * width, width, 1, 1), (4 * width,), (4 * width,)]
            shapes += [(4 * width, before, 1, 1), (4 * width,), (4 * width,)] if block == 0 else []
            before = 4 * width
    return (*shapes, (1000, 2048), (1000,))


ALL = (
    Shapes("gpt2", "GPT-2 small", gpt2()),
    Shapes("resnet50", "ResNet-50", resnet50(), start=True),
    Shapes("lora", "400 tensors of 8192", ((8192,),) * 400),
    Shapes("many", "1600 tensors of 2048", ((2048,),) * 1600, start=True),
)
LISTS = {one.name: one for one in ALL}
