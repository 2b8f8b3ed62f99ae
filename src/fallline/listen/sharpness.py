"""Sharpness: the curvature that a step meets, against what its learning rate can bear."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer

from . import habit

EPS = 1e-8
CALLS = count(1)  # of undisturbed(): each draws batches of its own, though random numbers are put back after it

Group = dict[str, Any]  # of an optimizer's parameters


@final
@dataclass(frozen=True)
class Sharpness:
    """value = <u, H u> / <g, u> along the direction u of a plain step theta <- theta - lr u; limit = 2 / lr.

    Above the limit this step would raise the batch's loss to second order. u = g: batch sharpness (arXiv 2412.20553);
    with a second moment in the optimizer's state u = g / (sqrt(v) + eps). Momentum is left out of it, but for its
    dampening, which makes lr (1 - dampening) of lr. Where lrs differ, lr is the largest, and u of the others is
    smaller by as much; parameters that no optimizer moves have no part in it. NaN where the gradient is zero.
    """

    value: float
    limit: float | None

    @property
    def share(self) -> float | None:
        """value / limit: what part of the learning rate's ceiling is in use."""
        return None if self.limit is None else self.value / self.limit


def sharpness(model: nn.Module, loss: Callable[[], Tensor], optimizers: Sequence[Optimizer]) -> Sharpness:
    """One Hessian-vector product; gradients, buffers and random numbers are left as they were.

    >>> w = nn.Linear(1, 1, bias=False)
    >>> told = sharpness(w, lambda: 3 * w.weight.square().sum(), [torch.optim.SGD(w.parameters(), lr=0.1)])
    >>> round(told.value, 4), told.limit
    (6.0, 20.0)
    """
    held = {id(p): (opt, group) for opt in optimizers for group in opt.param_groups for p in group["params"]}
    params = [p for p in model.parameters() if p.requires_grad]
    moved = {id(p): _rate(held[id(p)][1]) for p in params if id(p) in held}
    most = max(moved.values(), default=0.0)
    with undisturbed(model):
        grads = torch.autograd.grad(loss(), params, create_graph=True, allow_unused=True)
        pairs = [(p, g) for p, g in zip(params, grads, strict=True) if g is not None and (not most or id(p) in moved)]
        u = [
            _direction(p, g.detach(), *held.get(id(p), (None, {}))) * (moved[id(p)] / most if most else 1)
            for p, g in pairs
        ]
        slope = sum(((g * d).sum() for (_, g), d in zip(pairs, u, strict=True)), start=torch.zeros(()))
        curved = torch.autograd.grad(slope, [p for p, _ in pairs], allow_unused=True) if slope.requires_grad else ()
    bend = sum(float((h * d).sum()) for h, d in zip(curved, u, strict=False) if h is not None)
    value = bend / float(slope.detach()) if float(slope.detach()) else math.nan
    return Sharpness(value, 2 / most if most else None)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Buffers and random numbers are put back; attention is plain, for its kernels cannot be derived twice."""
    kept = [(b, b.clone()) for b in model.buffers()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        _reseed(devices)
        try:
            yield
        finally:
            with torch.no_grad():
                for b, old in kept:
                    b.copy_(old)


def _reseed(devices: Sequence[int]) -> None:
    """Random numbers that no call before had; a script that is run anew has them, too."""
    seed = int(torch.randint(2**62, ())) + next(CALLS)
    torch.default_generator.manual_seed(seed)
    for i in devices:
        torch.cuda.default_generators[i].manual_seed(seed)


def _rate(group: Group) -> float:
    """What a gradient is multiplied by at once."""
    return (habit.plain(habit.rate(group)) or 0.0) * (1 - float(group.get("dampening", 0.0)))


def _direction(p: Tensor, g: Tensor, opt: Optimizer | None, group: Group) -> Tensor:
    state = opt.state.get(p, {}) if opt else {}
    v = habit.moment(state, p)
    if v is None:
        return g
    betas, t = group.get("betas", ()), float(state.get("step", 0))
    v = v / (1 - float(betas[1]) ** t) if len(betas) > 1 and t > 0 else v
    eps = group.get("eps")
    return g / (v.sqrt() + (eps if isinstance(eps, float) else EPS))
