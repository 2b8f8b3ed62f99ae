"""Curvature: what one step along each family's direction would gain, at the length that suits it best."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..core.network import roles
from . import habit
from .estimate import Estimate
from .look import POLAR
from .sharpness import undisturbed
from .student import quantile

TINY = 1e-30
LEAST = 3  # draws
FAMILIES = ("euclid", "diagonal", "sign", "row", "column", "spectral")

Pairs = dict[str, Tensor]  # by role: [draws, families]


@final
@dataclass(frozen=True)
class Curvature:
    """<g, d> and <d, H d> on batches of their own, for d of each family made from earlier gradients.

        drop_f = <g, d>^2 / (2 <d, H d>):    what the best step along d gains, to second order

    It does not depend on the size of d, so that it compares families at their own best learning rates. slope, bend
    [draws, families] by role, for roles with matrices; H is the role's own block.
    """

    families: tuple[str, ...]
    slope: Pairs
    bend: Pairs
    used: dict[str, str | None]

    def drop(self, role: str, family: str) -> float:
        """The gain; NaN where the loss does not bend upwards, so that no step is best."""
        value, _ = self._log(role, family)
        return math.exp(value)

    def lead(self, role: str, family: str, over: str, level: float) -> Estimate:
        """drop_f / drop_over - 1, with Student's interval of a jackknife over draws, on the logarithm."""
        (a, mine), (b, rival) = self._log(role, family), self._log(role, over)
        n = len(mine)
        known = math.isfinite(a - b) and bool(torch.isfinite(mine - rival).all()) and n >= LEAST
        if not known:
            return Estimate(math.nan, -math.inf, math.inf, level)
        wide = quantile(level, n - 1) * float((mine - rival).std() * (n - 1) / math.sqrt(n))
        value, low, high = (math.expm1(min(a - b + side * wide, 99.0)) for side in (0, -1, 1))
        return Estimate(value, low, high, level)

    def _log(self, role: str, family: str) -> tuple[float, Tensor]:
        """The logarithm of the drop, and what it is without each of the draws."""
        k = self.families.index(family)
        slope, bend = self.slope[role][:, k], self.bend[role][:, k]
        rest = [(x.sum() - x) / max(len(x) - 1, 1) for x in (slope, bend)]
        return float(_drop(slope.mean(), bend.mean())), _drop(*rest)


def _drop(slope: Tensor, bend: Tensor) -> Tensor:
    good = (slope > 0) & (bend > 0)
    return torch.where(good, (slope.clamp(min=TINY).square() / (2 * bend.clamp(min=TINY))).log(), math.nan)


def curvature(
    model: nn.Module, loss: Callable[[], Tensor], optimizers: Sequence[Optimizer], draws: int = 8
) -> Curvature:
    """One Hessian-vector product for each family, role with matrices and draw; `loss()` draws a new batch at each call.

    Directions are made of the optimizer's averages of gradients and of their squares, where it keeps them; else of
    gradients of as many batches more. Memory: six times the parameters while it runs. Nothing of the model is changed.
    """
    if draws < LEAST:
        raise ValueError(f"draws is how many batches are compared, at least {LEAST}, but got {draws!r}.")
    known = {id(p): metric for opt in optimizers for p, metric in habit.metrics(opt)}
    scopes = _scopes(model, known)
    params = [p for ps in scopes.values() for p in ps]
    if not params:
        return Curvature(FAMILIES, {}, {}, {})
    with undisturbed(model):
        ways = _ways(scopes, _averages(params, loss, optimizers, draws))
        found = [_draw(scopes, ways, loss) for _ in range(draws)]
    slope, bend = ({role: torch.stack([one[role][k] for one in found]) for role in scopes} for k in (0, 1))
    used = {role: {known[id(p)] for p in ps} for role, ps in scopes.items()}
    return Curvature(FAMILIES, slope, bend, {role: one.pop() if len(one) == 1 else None for role, one in used.items()})


def _scopes(model: nn.Module, held: Container[int]) -> dict[str, list[Tensor]]:
    """Matrices that optimizers hold, by role; what is no matrix has no rows and no spectrum."""
    known, found = roles(model), dict[str, list[Tensor]]()
    for name, p in model.named_parameters():
        if id(p) in held and p.requires_grad and p.ndim > 1 and not p.is_complex() and min(p.flatten(1).shape) > 1:
            entry = known.get(p, name)
            found.setdefault(entry.role.kind if entry else "other", []).append(p)
    return found


def _averages(
    params: Sequence[Tensor], loss: Callable[[], Tensor], optimizers: Sequence[Optimizer], draws: int
) -> dict[int, tuple[Tensor, Tensor]]:
    """m and v of each parameter: the optimizer's, or means over batches."""
    states = {id(p): opt.state.get(p, {}) for opt in optimizers for g in opt.param_groups for p in g["params"]}
    kept = {id(p): (habit.buffer(s, p), habit.moment(s, p)) for p in params for s in [states.get(id(p), {})]}
    if any(x is None for pair in kept.values() for x in pair):
        grads = [torch.autograd.grad(loss(), params, allow_unused=True, materialize_grads=True) for _ in range(draws)]
    else:
        grads = []
    found = {}
    for i, p in enumerate(params):
        m, v = kept[id(p)]
        m = torch.stack([g[i] for g in grads]).mean(0) if m is None else m
        v = torch.stack([g[i] for g in grads]).square().mean(0) if v is None else v
        found[id(p)] = m.detach().float(), v.detach().float()
    return found


def _ways(scopes: dict[str, list[Tensor]], averages: dict[int, tuple[Tensor, Tensor]]) -> dict[str, list[list[Tensor]]]:
    """Directions of each family [families][matrices], by role."""
    return {
        role: [[_way(name, *averages[id(p)]).to(p.dtype) for p in ps] for name in FAMILIES]
        for role, ps in scopes.items()
    }


def _way(family: str, m: Tensor, v: Tensor) -> Tensor:
    """The steepest direction of a matrix; those of row, column and spectral have the same RMS for every matrix."""
    x = m.flatten(1)
    if family in ("row", "column"):
        size = torch.linalg.vector_norm(x, dim=1 if family == "row" else 0, keepdim=True)
        return _even(x / size.clamp(min=TINY)).view_as(m)
    if family == "spectral":
        return _even(POLAR(x)).view_as(m)
    if family == "diagonal":
        return m / v.sqrt().add(1e-8 * float(v.max().sqrt()) + TINY)
    return m.sign() if family == "sign" else m


def _even(d: Tensor) -> Tensor:
    return d / d.square().mean().sqrt().clamp(min=TINY)


def _draw(
    scopes: dict[str, list[Tensor]], ways: dict[str, list[list[Tensor]]], loss: Callable[[], Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    """<g, d> and <d, H d> of a batch, [families] each, by role."""
    params = [p for ps in scopes.values() for p in ps]
    grads = torch.autograd.grad(loss(), params, create_graph=True, allow_unused=True, materialize_grads=True)
    by = dict(zip(map(id, params), grads, strict=True))
    found = {}
    for role, ps in scopes.items():
        slopes = [
            sum(((by[id(p)] * d).sum() for p, d in zip(ps, way, strict=True)), start=torch.zeros(()))
            for way in ways[role]
        ]
        bends = []
        for slope, way in zip(slopes, ways[role], strict=True):
            curved = torch.autograd.grad(slope, ps, retain_graph=True, allow_unused=True) if slope.requires_grad else ()
            bends.append(sum(float((h * d).sum()) for h, d in zip(curved, way, strict=False) if h is not None))
        found[role] = torch.stack(slopes).detach().cpu().double(), torch.tensor(bends, dtype=torch.float64)
    return found
