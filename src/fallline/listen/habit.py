"""Habit: what an optimizer, whoever wrote it, says of itself: its learning rate, momentum, and buffers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

MOMENTA = ("exp_avg", "momentum_buffer", "filter.m", "momentum")  # of torch and most others; of Fallline
MOMENTS = ("exp_avg_sq", "metric.v", "square_avg")
RATES = ("effective_lr", "lr")


Number = float | Tensor | None


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
