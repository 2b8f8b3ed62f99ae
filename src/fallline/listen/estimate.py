"""Estimate: what was heard, as plain data with error bars."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple, final


@final
@dataclass(frozen=True)
class Estimate:
    """A number, and the interval that holds the true one in a share `level` of runs. freedom: degrees of freedom of
    Student's law, by which an interval at another level is made of this one (`student.widened`).

    >>> str(Estimate(2.0, 1.5, 3.0, 0.95)), Estimate(2.0, 1.5, 3.0, 0.95).holds(1.6)
    ('2 [1.5, 3]', True)
    """

    value: float
    low: float
    high: float
    level: float
    freedom: float = math.inf

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"

    def holds(self, x: float) -> bool:
        """Whether x lies in the interval."""
        return self.low <= x <= self.high


@final
@dataclass(frozen=True)
class Curve:
    """A function at some points, with an interval at each of them; curve[i] is an Estimate."""

    x: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float
    freedom: float = math.inf

    def __getitem__(self, i: int) -> Estimate:
        return Estimate(self.value[i], self.low[i], self.high[i], self.level, self.freedom)

    def __len__(self) -> int:
        return len(self.x)


@final
@dataclass(frozen=True)
class Pay:
    """Pay as a function of momentum, in one metric; curves are relative to the pay of momentum 0 on the same batch.

    same: this step's gradient meets itself, as in arXiv 2512.06370. clean: without its noise (Euclid, diagonal: lag 0
    is extrapolated; sign: only earlier gradients in the direction). best, best_clean: where the curves are highest.
    margin, margin_clean: how much more pay there than at the momentum in use, as a share; None where none is known.
    limit: what the choice can lose at most because the autocorrelation is only estimated, as a share of the best pay
    (theory.stability.regret_limit); None for sign, to which the bound does not apply.
    """

    same: Curve
    clean: Curve
    best: Estimate
    best_clean: Estimate
    margin: Estimate | None
    margin_clean: Estimate | None
    limit: float | None


@final
@dataclass(frozen=True)
class Shape:
    """Of matrices, in turn: stable rank |G|_F^2 / |G|_2^2, and imbalance n sum r_i^4 / (sum r_i^2)^2 of row norms r_i
    and of column norms (1: all equal, n: only one is not 0). Means over looks, which every turn.EVERY steps go to the
    next few matrices of the model, each look counting alike: of looks at one matrix the mean over steps, of several
    also over them. A stable rank of noise is up to a tenth too high, and its interval's low end a tenth lower."""

    stable_rank: Estimate
    rows: Estimate
    columns: Estimate


@final
@dataclass(frozen=True)
class Evidence:
    """What speaks for a change, in the metric in use; every stretch of steps counts alike, however large its gradients.

    held: sqrt(1 - .25) sum_k .5^(k-1) r_k / r_0 over lags k >= 1: what earlier gradients say of a new one; 0 of noise
    alone, below 0 where gradients turn round. next: r_1 / r_0. best, best_later: the momenta that earn most on the same
    batch, and, made of earlier gradients, on a new one. choice: of all that earn nearly as much as `best` the nearest
    to the momentum in use; margin, later: how much more it earns than that, on either, as a share (of later pay, which
    may be negative: of the larger of both); None where none is known. lead: how much more families of equal size earn
    than the metric in use and than Euclid.
    """

    held: Estimate
    next: Estimate
    best: float
    best_later: float
    choice: float
    margin: Estimate | None
    later: Estimate | None
    lead: dict[str, Estimate]


@final
@dataclass(frozen=True)
class Reading:
    """What was heard of one scope: a parameter, a role, or all. Gradients are as the optimizer saw them.

    power: E|g|^2. signal, noise: its two parts. noise_scale: noise / signal, in batches; critical_batch: the same in
    samples, where the batch size is known. persistence: rho of the fit r_k = signal rho^k at lags >= 1. source: where
    the signal comes from, "lags" or "micro-batches".
    autocorrelation: r_k / r_0 at lags 0 ... window. pay: by metric. families: power of directions of equal size,
    <g, d> / (|g| |d|), with d made from earlier gradients; matrix_families: the same on tiles of whole matrices, with
    d made from the optimizer's momentum buffer, as a mean over looks like those of Shape.
    gradient, buffer: the shapes of gradients and of the optimizer's momentum buffers. update: |step| / |weights|.
    lr, momentum, metric: in use; None where several are, or none is known.
    evidence: what advice rests on. looks: at matrices.
    """

    name: str
    kind: str  # "parameter", "role", "total"
    role: str
    tensors: int
    numel: int
    sampled: int
    power: Estimate
    signal: Estimate
    noise: Estimate
    noise_scale: Estimate
    critical_batch: Estimate | None
    persistence: Estimate
    source: str
    autocorrelation: Curve
    pay: dict[str, Pay]
    families: dict[str, Estimate]
    matrix_families: dict[str, Estimate]
    gradient: Shape | None
    buffer: Shape | None
    update: Estimate | None
    lr: float | None
    momentum: float | None
    metric: str | None
    evidence: Evidence
    looks: int


class Change(NamedTuple):
    """An alarm: the statistic of a scope changed before this step, at a risk of false alarm over the whole run."""

    step: int
    scope: str
    statistic: str  # "log gradient norm", "lag-1 correlation"
    evidence: float  # the martingale's value; under no change it reaches 1 / risk with chance risk at most
    risk: float


@final
@dataclass(frozen=True)
class Heard:
    """All readings, and what they rest on."""

    steps: int
    window: int
    every: int
    stretches: int
    level: float
    total: Reading
    roles: dict[str, Reading]
    parameters: dict[str, Reading]
    changes: tuple[Change, ...]
    bytes: int

    def json(self) -> dict[str, Any]:
        """Dicts, lists, numbers and words; None for what is not finite."""
        told: dict[str, Any] = plain(self)
        return told


def plain(x: Any) -> Any:
    """Data classes as dicts, tuples as lists, what is not finite as None."""
    if is_dataclass(x):
        return {f.name: plain(getattr(x, f.name)) for f in fields(x)}
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_asdict"):
        return plain(x._asdict())
    if isinstance(x, tuple | list):
        return [plain(one) for one in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
