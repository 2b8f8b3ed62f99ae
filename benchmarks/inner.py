"""How exact inner products of long float32 vectors are: torch.dot, (a * b).sum() and ours, against float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.shape import LISTS, Shapes
from fallline.core.field import as_field, inner

BLOCK = 1 << 20
WAYS = ("torch.dot", "(a * b).sum()", "ours, one tensor", "ours, the list")


def heavy(source: torch.Generator, n: int) -> Tensor:
    """Signs times sizes that are spread evenly over eight decades."""
    size = 10 ** torch.empty(n).uniform_(-6, 2, generator=source)
    return size * torch.empty(n).normal_(generator=source).sign()


def normal(source: torch.Generator, n: int) -> Tensor:
    """Standard normal numbers."""
    return torch.empty(n).normal_(generator=source)


def correlated(source: torch.Generator, n: int) -> tuple[Tensor, Tensor]:
    """Two normal vectors of correlation 0.1."""
    a = normal(source, n)
    return a, 0.1 * a + 0.99**0.5 * normal(source, n)


def twice(a: Tensor) -> tuple[Tensor, Tensor]:
    """<a, a>."""
    return a, a


DATA: dict[str, Callable[[torch.Generator, int], tuple[Tensor, Tensor]]] = {
    "independent normals": lambda source, n: (normal(source, n), normal(source, n)),
    "normals of correlation 0.1": correlated,
    "normal, with itself": lambda source, n: twice(normal(source, n)),
    "eight decades, with itself": lambda source, n: twice(heavy(source, n)),
    "eight decades, with a normal": lambda source, n: (heavy(source, n), normal(source, n)),
}


def exact(a: Tensor, b: Tensor) -> float:
    """<a, b> in float64, product and sum."""
    return sum(float(x.double() @ y.double()) for x, y in zip(a.split(BLOCK), b.split(BLOCK), strict=True))


def ways(a: Tensor, b: Tensor, sizes: list[int]) -> list[float]:
    """<a, b> in every way; the last one tensor by tensor, as a list of parameters would be summed."""
    listed = inner(as_field(a.split(sizes)), as_field(b.split(sizes)))
    return [float(x) for x in (torch.dot(a, b), (a * b).sum(), inner(a, b).sum(), listed.sum())]


def errors(kind: str, sizes: list[int], seed: int) -> dict[str, Any]:
    """Relative errors of one kind of data."""
    a, b = DATA[kind](torch.Generator().manual_seed(seed), sum(sizes))
    truth = exact(a, b)
    found = [abs(x - truth) / abs(truth) for x in ways(a, b, sizes)]
    return {"data": kind, "numbers": a.numel(), "errors": dict(zip(WAYS, found, strict=True))}


def table(tiny: bool, seed: int = 0) -> list[dict[str, Any]]:
    """A row for each kind of data, cut like GPT-2 small."""
    shapes: Shapes = LISTS["gpt2"].tiny() if tiny else LISTS["gpt2"]
    sizes = [torch.Size(s).numel() for s in shapes.shapes]
    return [errors(kind, sizes, seed) for kind in DATA]
