"""Newton-Schulz coefficients fitted to shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from .polar import SETS, NewtonSchulz, Polar

Triple = tuple[float, float, float]
KELLER: Triple = SETS["keller"][0]
ROOT: tuple[tuple[tuple[int, int], Triple], ...] = (
    ((2048, 2048), (3.4916, -4.8224, 2.1095)),
    ((2048, 3072), (3.4509, -4.5790, 1.9325)),
    ((2048, 8192), (2.9794, -3.6674, 1.6207)),
    ((2048, 16384), (3.1943, -3.8221, 1.5322)),
)


@final
@dataclass(frozen=True)
class Fitted(Polar):
    """Newton-Schulz whose coefficients depend on the matrix's short and long side (ROOT).

    table: ((short, long), (a, b, c)), each used `steps` times; `other`, Keller's, for all other shapes. The
    spectrum of noise depends on the shape (Marchenko and Pastur), so the best coefficients do. Published for four
    shapes of one model. Reference: arXiv 2511.20626.

    >>> import torch
    >>> Fitted()(torch.eye(2)).shape
    torch.Size([2, 2])
    """

    steps: int = 5
    table: tuple[tuple[tuple[int, int], Triple], ...] = ROOT
    other: Triple = KELLER

    def __call__(self, x: Tensor) -> Tensor:
        short, long = sorted(x.shape[-2:])
        return NewtonSchulz((dict(self.table).get((short, long), self.other),) * self.steps)(x)
