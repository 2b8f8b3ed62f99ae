"""LoRA's two factors, moved so that only their product matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast, final

import torch
from torch import Tensor

from ..core.field import Bundle, Field
from ..core.memory import Memory
from ..core.part import Combine


@final
@dataclass(frozen=True)
class LowRankPair(Combine):
    """Every field is a bundle (A, B), and the product B A moves alike whatever its factors are (intrinsic Muon).

        the metric sees   H_A = (B^T B)^{-1/2} G_A,                   H_B = G_B (A A^T)^{-1/2}
        and its D enters  A <- s A - lr/(2s) (B^T B)^{-1/2} D_A,      B <- s B - lr/(2s) D_B (A A^T)^{-1/2}

    with s^2 = 1 - lr decay, A `[r, n]`, B `[m, r]`. With polar factors the product moves by at most lr in the spectral
    norm (to first order),
    and decays by 1 - lr decay. Replacing (A, B) by (S^-1 A, B S) changes nothing. eps is added to the Gram matrices: it
    decides the first steps where B begins at zero, and is where the gauge shows. A zero move leaves the weights but for
    decay. Memory: none. Reference: arXiv 2605.09238; the halves and s are LoRA-Muon's, arXiv 2606.12921 (a digest).
    """

    decay: float = 0.0
    eps: float = 1e-6
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True
    together: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {self.decay}")
        if not self.eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {self.eps}")

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """(H_A, H_B)."""
        return self._whitened(u, p)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """(A, B) <- s (A, B) + whitened move / (2s)."""
        shrink = (1 - size * self.decay) ** 0.5
        half = self._whitened(move, p).div(2 * shrink)
        p.mul_(shrink).add_(half)

    def _whitened(self, x: Field, p: Field) -> Field:
        (a, b), (xa, xb) = cast(Bundle, p), cast(Bundle, x)
        return cast(Tensor, Bundle([_root(b.mT @ b, self.eps) @ xa, xb @ _root(a @ a.mT, self.eps)]))


def _root(gram: Tensor, eps: float) -> Tensor:
    """(gram + eps I)^{-1/2}; 0 along directions that are nothing even so."""
    s, q = torch.linalg.eigh(gram)
    s = s.clamp(min=0.0) + eps
    return (q * torch.where(s > 0, s.rsqrt(), 0.0).unsqueeze(-2)) @ q.mT
