"""How a momentum argument is read: a number, a sequence of candidates, or "auto"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor

from ..core.chooser import Scale, Selector
from ..core.part import Filter, Metric
from ..filters import Bank, Probe, QuasiHyperbolic, UnitGain, UnitPower
from ..selectors import Greedy
from .precision import precision

AUTO = (0.5, 0.9, 0.99)  # the recommended bank
# And where a direction has a fixed length: what noise it holds must be averaged before, not after (docs/momentum.md).
AUTO_OF_NORM = (0.8, 0.9, 0.95)
BANKS = {"probe": Probe, "full": Bank}
GREEDY = {"probe": Greedy(smoothing=0.9), "full": Greedy()}

Momentum = float | str | Sequence[float]
Betas = tuple[Momentum, float]


@dataclass(frozen=True)
class Choice:
    """Who chooses among candidates, and with which memory.

    bank: "probe" (candidates on a sample, one full buffer) or "full" (K buffers). selector: None for greedy, its pay
    averaged over about ten steps where a sample has to stand for all. scale: None for the optimizer's own, or for unit
    power where the selector needs it (Span).
    """

    bank: str = "probe"
    selector: Selector | None = None
    scale: Scale | None = None

    def __post_init__(self) -> None:
        if self.bank not in BANKS:
            raise ValueError(
                f"Invalid bank: {self.bank!r}; choose 'probe' (one buffer and a sample) or 'full' (K buffers)."
            )

    def filter(
        self, candidates: Sequence[float | QuasiHyperbolic], scale: Scale | None = None, judge: Metric | None = None
    ) -> Filter:
        """The filter that chooses among these candidates."""
        selector = self.selector or GREEDY[self.bank]
        signed = isinstance(selector, Selector) and selector.signed
        usual = UnitPower() if signed else scale or UnitGain()
        return BANKS[self.bank](tuple(candidates), selector, self.scale or usual, judge)

    def refuse_idle(self, momentum: Momentum, groups: list[dict[str, Any]]) -> None:
        """Raise where a selector, scale or bank was given, and nothing is there to choose from."""
        some = any(group.get(word) for group in groups for word in ("candidates", "rest_candidates"))
        idle = isinstance(momentum, Real) and not some
        if idle and (self.bank != "probe" or self.selector is not None or self.scale is not None):
            raise ValueError(
                f"A bank, selector or scale is given, but the momentum is one number, {momentum}: there is nothing to "
                "choose. Give a sequence of candidates or 'auto' as momentum, or leave them out."
            )


def split(momentum: Momentum, name: str, auto: tuple[float, ...] = AUTO) -> tuple[float, tuple[float, ...] | None]:
    """The number to show and the candidates, None where one number is given (a bank of one is that number)."""
    if isinstance(momentum, str):
        if momentum != "auto":
            raise ValueError(f"Invalid {name}: {momentum!r}; give a number, a sequence of candidates, or 'auto'.")
        momentum = auto
    if isinstance(momentum, Tensor) or not isinstance(momentum, Iterable):
        return check_number(momentum, name), None
    bank = tuple(sorted(check_number(beta, f"{name} candidate") for beta in momentum))
    if not bank:
        raise ValueError(f"Invalid {name}: the bank of candidates is empty; give at least one number, or 'auto'.")
    if len(set(bank)) < len(bank):
        raise ValueError(f"Invalid {name}: candidates must differ, but got {bank}.")
    return bank[0], bank if len(bank) > 1 else None


def check_number(value: Any, name: str) -> float:
    """A momentum in [0, 1), or a clear error."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 <= float(value) < 1.0:
        hint = " Of a tensor, give .item() or .tolist()." if isinstance(value, Tensor) else ""
        raise ValueError(
            f"Invalid {name}: {value!r}; it must be a number in [0, 1), a sequence of such, or 'auto'.{hint}"
        )
    return float(value)


def split_betas(group: dict[str, Any], word: str = "betas", under: str = "candidates") -> dict[str, Any]:
    """A group whose betas may hold candidates -> numbers to show, and the candidates."""
    if word not in group or under in group:
        return group
    pair = group[word]
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise ValueError(
            f"Invalid {word}: {pair!r}; give a pair (momentum, decay of the squares), like ('auto', 0.999)."
        )
    first, second = pair
    shown, candidates = split(first, "beta parameter at index 0")
    return {**group, word: (shown, _number(second)), under: candidates}


def check_pair(betas: Any) -> tuple[float, float]:
    """Two decay factors in [0, 1), or a clear error."""
    if isinstance(betas, str) or not isinstance(betas, Sequence) or len(betas) != 2:
        raise ValueError(f"Invalid betas: {betas!r}; give a pair of numbers, like (0.9, 0.999).")
    if not isinstance(betas[0], Real):
        raise ValueError(f"Invalid beta parameter at index 0: {betas[0]!r}; nothing is chosen here, give a number.")
    return check_number(betas[0], "beta parameter at index 0"), _number(betas[1])


def _number(beta2: Any) -> float:
    if isinstance(beta2, bool) or not isinstance(beta2, Real) or not 0.0 <= float(beta2) < 1.0:
        raise ValueError(f"Invalid beta parameter at index 1: {beta2!r}; it must be a number in [0, 1).")
    return float(beta2)


ENGINE = ("bank", "selector", "scale", "judge", "write", "state_dtype", "delay", "on_nonfinite", "chunk_bytes")


def refuse_in_group(opt: Any, group: dict[str, Any]) -> None:
    """A group may not have what is the whole optimizer's, or what is not there yet.

    What says again what the optimizer was given is taken out: ZeroRedundancyOptimizer repeats all options in groups.
    """
    name, said = type(opt).__name__, {word: group.pop(word) for word in ENGINE if word in group}
    own = {"delay": opt.delay, "on_nonfinite": opt.on_nonfinite, "chunk_bytes": opt.chunk_bytes}
    own |= vars(getattr(opt, "choice", Choice())) | opt.precision | {"judge": getattr(opt, "judge", None)}
    if "write" in said:
        said |= {"write": precision(said["write"], own["state_dtype"])["write"]}
    if found := [word for word, x in said.items() if word not in own or own[word] != x]:
        raise ValueError(
            f"{', '.join(found)}: these belong to the whole optimizer; pass them to {name}(...), not in a group."
        )
    if group.get("amsgrad") and "amsgrad" not in opt.defaults:
        raise ValueError(f"{name} does not know amsgrad, and a flag that does nothing is worse than none.")
