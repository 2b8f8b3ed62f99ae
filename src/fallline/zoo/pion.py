"""Pion: matrices are turned, their singular values stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import TwoSided
from ..core.rule import Rule
from ..filters import Identity
from ..metrics import Euclid
from .routed import Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Pion(Routed):
    """Adam on the two Lie algebras of W -> P W Q, for hidden matrices; AdamW for the rest.

    See `TwoSided` for the equations. rms: of a step's entries per unit of lr. sides: "alternating" or "both".
    weight_decay is AdamW's: it would change the spectrum. State: 2 (m^2 + n^2), more than Adam's for long matrices.
    Not the high-pass Newton-Schulz of the same name (arXiv 2605.19282). Reference: arXiv 2605.12492, as published code
    of others has it.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Pion(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        rms: float = 1.0,
        sides: str = "alternating",
        **engine: Unpack[Engine],
    ) -> None:
        self.sides = sides
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "rms": rms}
        super().__init__(params, lr, numbers, **engine)

    def matrix(self, group: Group) -> Rule:
        """The gradient itself, turned into rotations where it enters the weights."""
        beta1, beta2 = group["betas"]
        turn = TwoSided(beta1, beta2, group["eps"], group["rms"], self.sides)
        return self.rule_of(Identity(), Euclid(), group, combine=turn)
