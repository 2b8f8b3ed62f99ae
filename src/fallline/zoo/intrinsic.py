"""Intrinsic Muon for LoRA: the product of two factors moves, whatever the factors are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import LowRankPair
from ..core.role import Role, role_of
from ..core.rule import Rule
from ..core.section import Section
from ..metrics import MatchRMS, NewtonSchulz, Spectral
from ..metrics.polar import Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

FACTORS = ("lora_a", "lora_b")


class IntrinsicMuon(Routed):
    """Muon in the geometry of the product W = B A, for pairs of LoRA factors; Muon for hidden matrices, AdamW else.

        dB = -lr/2 polar(M_B R) R,   R = (A A^T + eps)^{-1/2},     dA = -lr/2 L polar(L M_A),   L = (B^T B + eps)^{-1/2}

    M: averages of the factors' gradients (momentum 0: the gradients). Replacing (B, A) by (B S, S^-1 A) changes nothing
    in how B A moves. lr: the spectral norm of its step. weight_decay: of the product; see `LowRankPair`. Both factors
    of a pair must be trained, and in one group. Reference: arXiv 2605.09238; halves and decay as LoRA-Muon's, arXiv
    2606.12921 (a digest).

    >>> import torch
    >>> a, b = torch.nn.Parameter(torch.randn(2, 6)), torch.nn.Parameter(torch.zeros(5, 2))
    >>> opt = IntrinsicMuon([{"params": [a, b], "roles": ("lora_a pair=0", "lora_b pair=0")}])
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 5e-3,
        momentum: Momentum = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        eps: float = 1e-6,
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.damping, self.metric = eps, Spectral(polar or NewtonSchulz())
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, polar factor of AdamW's size, decay."""
        return self.rule_of(self.average(group), MatchRMS(self.metric), group)

    def suits(self, role: Role) -> bool:
        """Factors as well."""
        return role.matrix or _factor(role)

    def speak(self, group: Group, role: Role) -> Rule:
        """Pairs of factors have a rule of their own."""
        if not _factor(role):
            return super().speak(group, role)
        pair = LowRankPair(group["weight_decay"], self.damping)
        return self.rule_of(self.average(group), self.metric, group, combine=pair)

    def sections(self, group: Group) -> list[Section]:
        """Every pair is a section of its own."""
        return [part for section in super().sections(group) for part in _pairs(section)]


def _factor(role: Role) -> bool:
    return role.kind in FACTORS and role.pair is not None


def _pairs(section: Section) -> Iterator[Section]:
    if not section.rule.combine.together:
        yield section
        return
    found: dict[int | None, dict[str, int]] = {}
    for i in section.places or ():
        role = role_of(section.group["roles"][i])
        found.setdefault(role.pair, {})[role.kind] = i
    for pair, places in found.items():
        if places.keys() != set(FACTORS):
            raise ValueError(
                f"Pair {pair} of LoRA factors has only {' and '.join(places)} in this group, and they move together. "
                "Put both into one group, or give the one the role 'hidden' or 'other'."
            )
        yield Section(section.group, section.rule, tuple(places[kind] for kind in FACTORS))
