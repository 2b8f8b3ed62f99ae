"""Habit: what an optimizer, whoever wrote it, says of itself: its learning rate, momentum, and buffers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, final

from torch import Tensor
from torch.optim import Optimizer

MOMENTA = ("exp_avg", "momentum_buffer", "filter.m", "momentum")  # of torch and most others; of Fallline
MOMENTS = ("exp_avg_sq", "metric.v", "square_avg")
RATES = ("effective_lr", "lr")
# The metric that a part of Fallline is, by its class or one that it comes from; that of others, by their name.
PARTS = {"Euclid": "euclid", "Frobenius": "euclid", "Diagonal": "diagonal", "Sign": "sign", "Spectral": "spectral"}
PARTS |= {"Rows": "row", "Columns": "column"}
NAMES = {"muon": "spectral", "lion": "sign", "sign": "sign", "adafactor": "diagonal", "adagrad": "diagonal"}


Number = float | Tensor | None


@final
class Habits:
    """Learning rates, momenta and metrics of parameters by their numbers: the optimizer may be gone when one asks."""

    def __init__(self, index: Mapping[int, int]) -> None:
        self.index = index  # id -> number
        self.said: dict[int, tuple[Number, Number]] = {}
        self.metrics: dict[int, str | None] = {}

    def note(self, optimizers: Iterable[Optimizer]) -> None:
        """Ask them; for metrics once, since it takes a while to see what the parts of a rule are."""
        for opt in optimizers:
            mine = [[i for p in g["params"] if (i := self.index.get(id(p), -1)) >= 0] for g in opt.param_groups]
            for group, numbers in zip(opt.param_groups, mine, strict=True):
                self.said |= dict.fromkeys(numbers, (rate(group), momentum(group)))
            if any(i not in self.metrics for numbers in mine for i in numbers):
                self.metrics |= {self.index.get(id(p), -1): metric for p, metric in metrics(opt)}

    def pairs(self, count: int) -> tuple[tuple[float | None, float | None], ...]:
        """lr and momentum of the first parameters."""
        said = [self.said.get(i, (None, None)) for i in range(count)]
        return tuple((plain(lr), plain(beta)) for lr, beta in said)


def rate(group: Mapping[str, Any]) -> Number:
    """The learning rate that is in force; a copy where it is a tensor, so that nobody has to wait for it now."""
    return next((_kept(group[key]) for key in RATES if _number(group.get(key))), None)


def momentum(group: Mapping[str, Any]) -> Number:
    """The momentum in use: the first of betas, or momentum."""
    betas = group.get("betas")
    beta = betas[0] if isinstance(betas, tuple | list) and betas else group.get("momentum", group.get("beta1"))
    return _kept(beta) if _number(beta) else None


def plain(x: Number) -> float | None:
    """As a number of Python."""
    return None if x is None else float(x)


def _kept(x: Any) -> Number:
    return x.detach().clone() if isinstance(x, Tensor) else float(x)


def buffer(state: Mapping[str, Any], p: Tensor) -> Tensor | None:
    """The average of gradients, if it is kept in the parameter's shape."""
    return _shaped(state, MOMENTA, p)


def moment(state: Mapping[str, Any], p: Tensor) -> Tensor | None:
    """The average of squared gradients, if it is kept in the parameter's shape."""
    return _shaped(state, MOMENTS, p)


def _shaped(state: Mapping[str, Any], names: tuple[str, ...], p: Tensor) -> Tensor | None:
    found = (state.get(name) for name in names)
    return next((x for x in found if isinstance(x, Tensor) and x.shape == p.shape and not x.is_complex()), None)


def _number(x: object) -> bool:
    return (isinstance(x, Tensor) and x.numel() == 1) or (isinstance(x, int | float) and not isinstance(x, bool))


def metrics(opt: Optimizer) -> Iterator[tuple[Tensor, str | None]]:
    """Each parameter, and in which metric the optimizer walks: one of `look.FAMILIES`, None where nothing says it."""
    sections = getattr(opt, "sections", None)
    for group in opt.param_groups:
        for section in sections(group) if sections else ():
            yield from ((p, _part(section.rule.metric)) for p in section.params)
        if not sections:
            yield from ((p, _named(opt, p)) for p in group["params"])


def _part(metric: Any) -> str | None:
    """Of a part of Fallline, through the parts around it."""
    known = (PARTS.get(one.__name__) for one in type(metric).__mro__)
    inner = getattr(metric, "metric", None)
    return next(filter(None, known), None) or (None if inner is None else _part(inner))


def _named(opt: Optimizer, p: Tensor) -> str | None:
    name = type(opt).__name__.lower()
    found = next((metric for word, metric in NAMES.items() if word in name), None)
    if found == "spectral" and p.ndim < 2:
        found = None
    if found or name == "sgd":
        return found or "euclid"
    return None if moment(opt.state.get(p, {}), p) is None else "diagonal"
