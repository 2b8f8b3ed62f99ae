"""Two sides that are fitted together, each whitened by the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from .kronecker import GRAMS, gram_memory, roots_
from .side import TwoSided, check_learning, due, gram_, rows


@final
@dataclass(frozen=True)
class Kullback(TwoSided):
    """The Kronecker product nearest to the gradients' covariance in Kullback-Leibler divergence (KL-Shampoo).

        L <- b L + (1 - b) G R^-1 G^T / n,    R <- b R + (1 - b) G^T L^-1 G / m,    direction(U) = L^(-1/2) U R^(-1/2)

    L (x) R estimates E[g g^T] itself, so D is its root, and steps are as long as Adam's. Both start as the identity
    times the root mean square of the first gradient; learned from it, one side would be singular, and the other would
    blow up. Roots come first: no gradient is measured by a root that saw it. every, eps, largest: as in `Kronecker`.
    The idealised form of the paper: the official code moves eigenvalues at every step and clamps them. Memory: `left`,
    `right` and their roots. Reference: Lin et al., arXiv 2509.03378.

    >>> print(Kullback(0.95, every=10))
    Kullback(0.95, every=10)
    """

    beta: float = 0.95
    every: int = 1
    eps: float = 1e-6
    largest: int = 10000

    def __post_init__(self) -> None:
        check_learning(self.beta, self.every, self.largest)
        if not self.eps > 0:
            raise ValueError(f"Invalid eps: {self.eps}; the floor of the eigenvalues is positive.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Both sides and their inverse roots, all 0."""
        return gram_memory(p, self.largest)

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """Every few steps the roots, then L and R from each other's."""
        step = int(t)
        for x, left, right, *roots in rows(g, mem, *GRAMS):
            start_(left, right, x)
            if due(step, self.every):
                roots_(roots, (left, right), x, 1.0, 0.5, self.eps)
            m, n = x.shape[-2:]
            gram_(left, _whitened(x, roots[1]), self.beta, (1 - self.beta) / n)
            gram_(right, _whitened(x.mT, roots[0]), self.beta, (1 - self.beta) / m)


def start_(left: Tensor, right: Tensor, x: Tensor) -> None:
    """The identity at the root mean square of X, where nothing but zeros was seen; the square if it is alone."""
    size = x.square().mean((-2, -1), keepdim=True)
    sides = [a for a, k in zip((left, right), x.shape[-2:], strict=True) if a.shape[-1] == k]
    for a in sides:
        unknown = a.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] == 0
        a.add_(torch.eye(a.shape[-1], dtype=a.dtype, device=a.device) * unknown * size ** (1 / len(sides)))


def _whitened(x: Tensor, root: Tensor) -> Tensor:
    """X times the root of its columns' side; as it is where that is not learned."""
    return x @ root if root.shape[-1] == x.shape[-1] else x
