"""Sharpness: the curvature that a step meets, against what its learning rate can bear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer

from . import habit

EPS = 1e-8


@final
@dataclass(frozen=True)
class Sharpness:
    """value = <u, H u> / <g, u> along the direction u of a plain step theta <- theta - lr u; limit = 2 / lr.

    Above the limit this step would raise the batch's loss to second order. u = g: batch sharpness (arXiv 2412.20553);
    with a second moment in the optimizer's state u = g / (sqrt(v) + eps). Momentum is left out of it.
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
    >>> sharpness(w, lambda: 3 * w.weight.square().sum(), [torch.optim.SGD(w.parameters(), lr=0.1)])
    Sharpness(value=6.0, limit=20.0)
    """
    params = [p for p in model.parameters() if p.requires_grad]
    with undisturbed(model):
        grads = torch.autograd.grad(loss(), params, create_graph=True, allow_unused=True)
        pairs = [(p, g) for p, g in zip(params, grads, strict=True) if g is not None]
        u = [_direction(p, g.detach(), optimizers) for p, g in pairs]
        slope = sum(((g * d).sum() for (_, g), d in zip(pairs, u, strict=True)), start=torch.zeros(()))
        curved = torch.autograd.grad(slope, [p for p, _ in pairs], allow_unused=True)
    bend = sum(float((h * d).sum()) for h, d in zip(curved, u, strict=True) if h is not None)
    rates = [r for opt in optimizers for group in opt.param_groups if (r := habit.plain(habit.rate(group)))]
    return Sharpness(bend / float(slope.detach()), 2 / max(rates) if rates else None)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Buffers and random numbers are put back; attention is plain, for its kernels cannot be derived twice."""
    kept = [(b, b.clone()) for b in model.buffers()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        try:
            yield
        finally:
            with torch.no_grad():
                for b, old in kept:
                    b.copy_(old)


def _direction(p: Tensor, g: Tensor, optimizers: Sequence[Optimizer]) -> Tensor:
    for opt in optimizers:
        state = opt.state.get(p, {})
        v = habit.moment(state, p)
        if v is not None:
            beta, t = _beta2(opt, p), float(state.get("step", 0))
            v = v / (1 - beta**t) if beta is not None and t > 0 else v
            return g / (v.sqrt() + EPS)
    return g


def _beta2(opt: Optimizer, p: Tensor) -> float | None:
    group = next(group for group in opt.param_groups if any(q is p for q in group["params"]))
    betas = group.get("betas", ())
    return float(betas[1]) if len(betas) > 1 else None
