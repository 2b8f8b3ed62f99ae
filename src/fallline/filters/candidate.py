"""Candidates: what Bank and Probe have in common, the choice among K one-pole filters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser, Scale, Selector
from ..core.error import SlotError
from ..core.field import Field, count, each
from ..core.memory import Memory, number
from ..core.part import Filter, Metric
from ..statistics import response
from ..statistics.alignment import scored, tally, untangle
from .average import QuasiHyperbolic
from .scale import UnitGain

UNIT_GAIN = UnitGain()


@dataclass(frozen=True)
class Candidates(Filter, Chooser):
    """K filters of which a selector chooses: a bank keeps them whole, a probe on a sample.

    candidates: momenta in [0, 1), or QuasiHyperbolic filters; kept in increasing order, so that their order has no
    meaning. judge: in whose geometry they are judged, before the rule's metric has turned them: a norm without memory,
    such as Euclid(), which costs no second polar factor; None for the metric's own.
    """

    candidates: tuple[float | QuasiHyperbolic, ...]
    selector: Selector
    scale: Scale = UNIT_GAIN
    judge: Metric | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.selector, Selector):
            raise SlotError(f"{type(self).__name__} needs a Selector, such as Greedy(), but got {self.selector!r}.")
        if not isinstance(self.scale, Scale):
            raise SlotError(f"{type(self).__name__} needs a Scale, such as UnitGain(), but got {self.scale!r}.")
        if self.judge is not None and not isinstance(self.judge, Metric):
            raise SlotError(f"{type(self).__name__} is judged by a Metric, such as Euclid(), not by {self.judge!r}.")
        if self.judge is not None and self.judge.memory(torch.empty(2, 2)):
            raise SlotError(
                f"{self.judge} learns from gradients and cannot judge. Take a norm without memory: Euclid()."
            )
        if self.selector.signed and not self.scale.signed:
            raise SlotError(
                f"{self.selector} mixes with weights of either sign, whose taps may sum to nothing, and {self.scale} "
                "divides by that sum. Use the scale UnitPower()."
            )
        object.__setattr__(self, "candidates", _in_order(self.candidates))
        self.selector.decisions(len(self.candidates))  # it may refuse this bank

    @cached_property
    def filters(self) -> tuple[QuasiHyperbolic, ...]:
        """The candidates as filters; a bare momentum is an exponential average."""
        return tuple(c if isinstance(c, QuasiHyperbolic) else QuasiHyperbolic(c) for c in self.candidates)

    @property
    def scope(self) -> str:
        """The selector's."""
        return self.selector.scope

    @property
    def measures(self) -> bool:
        """With one candidate nothing is measured."""
        return self.selector.measures and len(self.candidates) > 1

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`weights` [K], at first all on the shortest memory, and what the selector remembers."""
        k = len(self.candidates)
        memory = {
            "weights": torch.eye(1, k, dtype=torch.float64)[0],
            **(self.selector.decisions(k) if self.measures else {}),
        }
        return {name: x.to(device) for name, x in memory.items()}

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """Sums of the scope -> weights."""
        alignment, power = untangle(measured)
        mem.weights.copy_(self.selector.choose(alignment, power, mem))

    def taps(self, n: int) -> Tensor:
        """The candidates' impulse responses, [K, n]."""
        return torch.stack([c.taps(n) for c in self.filters])

    @property
    def momenta(self) -> tuple[float, ...]:
        """What tells the candidates apart: beta, or where that is the same for all (Lion) the lag's weight nu beta."""
        betas = tuple(c.beta for c in self.filters)
        return betas if len(set(betas)) == len(betas) else tuple(round(c.nu * c.beta, 12) for c in self.filters)

    def momentum(self, mem: Memory) -> Tensor:
        """The chosen momentum; of a mixture the mean, weighted by the weights' sizes."""
        return self._mean(_tensor(self.momenta, _device(mem)), mem.weights)

    def blended(self, mem: Memory) -> tuple[Tensor, Tensor]:
        """beta and nu of the choice, one number, or one for each tensor."""
        beta, nu = self.poles(_device(mem))
        return self._mean(beta, mem.weights), self._mean(nu, mem.weights) if self.ahead else _one(beta.device)

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        """c times the sum of the taps that made the last output."""
        return torch.ones_like(t) if self.scale.unit else self._loudness(mem, t)

    @abstractmethod
    def _loudness(self, mem: Memory, t: Tensor) -> Tensor:
        """The same for any scale."""

    def _mean(self, x: Tensor, weights: Field) -> Tensor:
        if self.selector.single:
            return each(lambda w: w @ x, weights)
        return each(lambda w: (w.abs() @ x) / w.abs().sum(), weights)

    @cached_property
    def ahead(self) -> bool:
        """Whether some candidate is more than an exponential average: Nesterov's look ahead, Lion's interpolation."""
        return any(c.nu != 1.0 for c in self.filters)

    def poles(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """beta [K] and nu [K]."""
        return _poles(self.filters, device)

    def tally(self, g: Field, us: list[Field], aim: Aim, t: Tensor) -> Tensor:
        """The candidates' alignments and powers on these fields: [tensors, numbers]."""
        heard = [scored(u, g, 1 - c.nu * c.beta, self.selector.score) for c, u in zip(self.filters, us, strict=True)]
        size = count(g).to(t.device)
        age = torch.full_like(t, torch.inf) if self.selector.power == "asymptotic" else t
        return tally(aim, g, heard, response.aged(*_pairs(self.filters, t.device), age), size)


@lru_cache(maxsize=256)
def _poles(filters: tuple[QuasiHyperbolic, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    beta, nu = torch.tensor([(c.beta, c.nu) for c in filters], dtype=torch.float64, device=device).unbind(-1)
    return beta, nu


@lru_cache(maxsize=256)
def _pairs(filters: tuple[QuasiHyperbolic, ...], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    return response.pairs(*_poles(filters, device))


@lru_cache(maxsize=16)
def _one(device: torch.device) -> Tensor:
    return number(1.0, device)


@lru_cache(maxsize=256)
def _tensor(numbers: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64, device=device)


def _device(mem: Memory) -> torch.device:
    weights: Any = mem.weights
    return (weights if isinstance(weights, Tensor) else weights[0]).device


def _in_order(given: Sequence[float | QuasiHyperbolic]) -> tuple[float | QuasiHyperbolic, ...]:
    if isinstance(given, (str, float, int)) or not given:
        raise ValueError(
            f"A bank needs at least one candidate momentum, but got {given!r}; for example (0.5, 0.9, 0.99)."
        )
    bank = {c if isinstance(c, QuasiHyperbolic) else QuasiHyperbolic(c) for c in given}
    if len(bank) < len(given):
        raise ValueError(f"A bank's candidates must differ, but got {tuple(given)!r}.")
    return tuple(c if c.nu != 1.0 else c.beta for c in sorted(bank, key=lambda c: (c.beta, c.nu)))
