"""Weights of constant norm: a step, and back onto the sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Combine
from .sphere import TINY, FrobeniusSphere, Sphere, still

FROBENIUS = FrobeniusSphere()


@final
@dataclass(frozen=True)
class Retract(Combine):
    """Matrices keep their first length R: what the metric sees is tangent, steps are relative, then back (MACRO).

        M <- tangent(M),      W <- W - eta R D / norm(D),      W <- R W / norm(W)          eta = the lr

    sphere: which norm. A zero move leaves the weights, up to rounding. Matrices of zeros are refused.
    Memory: `radius` and the sphere's. Reference: arXiv 2605.04418 from a digest; order and normalisation are ours.
    """

    sphere: Sphere = FROBENIUS
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def misfit(self, p: Tensor) -> str | None:
        """Zeros have no direction to keep the length of."""
        return still(p)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The radius, and what the sphere remembers."""
        found = self.sphere.memory(p)
        return {"radius": self.sphere.length(p, Memory(found)), **found}

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """What of u runs along the sphere."""
        self.sphere.observe(p, mem)
        return self.sphere.tangent(u, p, mem)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- R w / norm(w) with w = p + stride."""
        p.add_(self.sphere.stride(move, size, mem.radius))
        self.sphere.observe(p, mem)
        p.copy_(each(_rescaled, p, mem.radius, self.sphere.length(p, mem)))


@final
@dataclass(frozen=True)
class FixedNorm(Combine):
    """A whole tensor keeps its first length R, whatever its direction comes from: no weight decay is needed.

        W <- R normalise(W - eta R normalise(u))          eta = the lr, u the step of any optimizer

    Tensors of any shape, as one vector. Units: lr is the relative step, norm(dW) / R. A zero move leaves the weights,
    up to rounding. Tensors of zeros are refused. Memory: `radius`. Reference: Hyperball, from published code.

    >>> import torch
    >>> p = torch.tensor([3.0, 4.0]); mem = Memory(FixedNorm().memory(p))
    >>> FixedNorm().enter(p, torch.tensor([4.0, -3.0]), 0.75, mem, torch.tensor(1.0)); p
    tensor([4.8000, 1.4000])
    """

    elementwise: ClassVar[bool] = False

    def misfit(self, p: Tensor) -> str | None:
        """Zeros have no direction to keep the length of."""
        return still(p)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The radius."""
        return {"radius": p.norm().reshape(1)}

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- R w / norm(w) with w = p + size R move / norm(move)."""
        stride = each(lambda x, s, r: x * (r * s / x.norm().clamp(min=TINY)), move, size, mem.radius)
        p.add_(stride)
        p.copy_(each(lambda w, r: _rescaled(w, r, w.norm()), p, mem.radius))


def _rescaled(w: Tensor, radius: Tensor, length: Tensor) -> Tensor:
    return w * (radius / length.clamp(min=TINY))
