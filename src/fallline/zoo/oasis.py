"""OASIS and AdGD: a learning rate from what the gradients changed by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Decoupled, Probed
from ..core.rule import Rule
from ..filters import Identity
from ..metrics import Euclid, Hutchinson
from ..steps import AdGDStep
from .twofold import Group, Twofold
from .walking import Common, Walker

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AdGD(Walker):
    """Gradient descent that measures the curvature on its way: no learning rate, for full batches.

        eta_k = min(sqrt(1 + eta_{k-1} / eta_{k-2}) eta_{k-1}, norm(x_k - x_{k-1}) / (2 norm(g_k - g_{k-1})))

    One gradient a step. In small batches their noise counts as curvature, and eta shrinks to nothing. start: the first
    eta, soon forgotten. lr stays 1. Reference: Malitsky & Mishchenko, arXiv 1910.09529.

    >>> import torch
    >>> opt = AdGD([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]))
    Identity() → Euclid() → AdGDStep(1e-06) → Decoupled(0.0)
    """

    def __init__(self, params: Any, lr: float | Tensor = 1.0, start: float = 1e-6, **how: Unpack[Common]) -> None:
        super().__init__(params, lr, {"start": start}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, Euclid, its step."""
        return Rule(Identity(), Euclid(), AdGDStep(group["start"]), Decoupled(), **self.precision(group))


class OASIS(Twofold):
    """Newton's diagonal from random probes, and a learning rate from what the gradients changed by.

        D = max(|average of z H z|, floor),    x <- x - eta D^-1 g,    eta as in AdGD in D's norm

    Two gradients in a step, `opt.step(closure)`, both of the same batch: H z is their difference over eps. eta compares
    the gradients of successive steps, as the paper's deterministic mode does: for full batches, since noise makes it
    shrink to nothing (the stochastic mode asks for a third gradient, of the last weights). In small batches take the
    metric with a learning rate: Rule(Identity(), Hutchinson(), Constant(), Probed()). beta: of the average. lr stays 1.
    Defaults are ours, the paper's were not read. Reference: Jahani et al., arXiv 2109.05198.

    >>> import torch
    >>> opt = OASIS([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]))
    Identity() → Hutchinson(0.99) → AdGDStep(0.001, of=2) → Probed(0.001)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        beta: float = 0.99,
        floor: float = 1e-3,
        start: float = 1e-3,
        eps: float = 1e-3,
        seed: int = 0,
        **how: Unpack[Common],
    ) -> None:
        super().__init__(params, lr, {"beta": beta, "floor": floor, "start": start, "eps": eps, "seed": seed}, **how)

    def sentence(self, group: Group) -> Rule:
        """Gradient, curvature, its step, a probe."""
        metric, step = Hutchinson(group["beta"], group["floor"]), AdGDStep(group["start"], of=2)
        return Rule(Identity(), metric, step, Probed(group["eps"], group["seed"]), **self.precision(group))
