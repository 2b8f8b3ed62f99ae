"""Shape factors: how a matrix metric's direction is scaled by the matrix's own shape, so that one lr serves all."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each, tensors_of
from ..core.memory import Memory
from ..core.part import Around, Metric
from .resized import Exact, OwnDual


@dataclass(frozen=True)
class Shaped(Around, Metric):
    """A metric whose directions are longer by a factor of the matrix's shape: norm / s, dual * s, direction * s."""

    metric: Metric
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True
    linear: ClassVar[bool] = False

    @abstractmethod
    def factor(self, m: int, n: int) -> float:
        """s, for m outputs and n inputs."""

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """s direction(u)."""
        return each(lambda d: d * self.factor(*d.shape[-2:]), self.metric.direction(u, mem, t))

    def norm(self, w: Field, mem: Memory, t: Tensor) -> Tensor:
        """norm(w) / s."""
        return self.metric.norm(w, mem, t) / self._factors(w)

    def dual(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """s dual(g)."""
        return self.metric.dual(g, mem, t) * self._factors(g)

    def align(self, g: Field, us: list[Field], mem: Memory, t: Tensor) -> Tensor:
        """s <g, direction(u_k)>."""
        return self.metric.align(g, us, mem, t) * self._factors(g)[:, None]

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """The metric's."""
        return self.metric.power(gram, g, mem, t)

    def _factors(self, x: Field) -> Tensor:
        found = [self.factor(*one.shape[-2:]) for one in tensors_of(x)]
        return torch.tensor(found, dtype=torch.float64, device=tensors_of(x)[0].device)


@final
@dataclass(frozen=True)
class Keller(Shaped):
    """s = sqrt(max(1, m / n)): Muon as published."""

    def factor(self, m: int, n: int) -> float:
        """sqrt(max(1, m / n))."""
        return float(max(1.0, m / n) ** 0.5)


@final
@dataclass(frozen=True)
class MatchRMS(Shaped):
    """s = rms sqrt(max(m, n)): a full-rank polar factor's entries have root mean square `rms`, as AdamW's have."""

    rms: float = 0.2

    def factor(self, m: int, n: int) -> float:
        """rms sqrt(max(m, n))."""
        return float(self.rms * max(m, n) ** 0.5)


@final
@dataclass(frozen=True)
class FanRatio(Shaped):
    """s = sqrt(m / n): with `Spectral`, the operator norm from RMS inputs to RMS outputs.

    norm(W) = sqrt(n / m) sigma_1 = sup of RMS(W x) / RMS(x), so that one lr transfers over widths. Reference: Scion,
    arXiv 2502.07529; Modula. For convolutions their factor depends on the kernel as well: `Conv`.
    """

    def factor(self, m: int, n: int) -> float:
        """sqrt(m / n)."""
        return float((m / n) ** 0.5)


@final
@dataclass(frozen=True)
class FanIn(Shaped):
    """s = n^exponent. `FanIn(Rows(2), 0.5)`: rows of RMS 1 (embeddings). `FanIn(Rows(2), -0.5)`: the operator norm from
    RMS to the largest output (heads). `FanIn(Sign(), -1)`: Scion's normalised sign.
    """

    exponent: float = 0.5

    def factor(self, m: int, n: int) -> float:
        """n^exponent."""
        return float(n**self.exponent)


@final
@dataclass(frozen=True)
class FanOut(Shaped):
    """s = m^exponent. `FanOut(Columns(2), 0.5)`: columns of RMS 1, the operator norm from one active input to RMS."""

    exponent: float = 0.5

    def factor(self, m: int, n: int) -> float:
        """m^exponent."""
        return float(m**self.exponent)


def plain(metric: Metric) -> Metric:
    """The metric itself."""
    return metric


FACTORS: dict[str, Callable[[Metric], Metric]] = {
    "rms": MatchRMS,  # .2 sqrt(max(m, n))
    "keller": Keller,  # sqrt(max(1, m / n))
    "spectral": FanRatio,  # sqrt(m / n)
    "max": partial(MatchRMS, rms=1.0),  # sqrt(max(m, n))
    "exact": Exact,  # .2 sqrt(m n) / norm_F(direction)
    "dual": OwnDual,  # the dual norm of what the metric was asked (PolarGrad)
    "none": plain,
}


def shaped(factor: str, metric: Metric) -> Metric:
    """The metric with the shape factor of this name.

    >>> from fallline import Spectral
    >>> type(shaped("keller", Spectral())).__name__
    'Keller'
    """
    if factor not in FACTORS:
        raise ValueError(f"Invalid shape: {factor!r}; choose one of {', '.join(map(repr, FACTORS))}.")
    return FACTORS[factor](metric)
