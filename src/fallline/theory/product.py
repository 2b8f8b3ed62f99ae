"""Layers: a region for each, and how they share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .region import ROUNDING, Region


@final
@dataclass(frozen=True)
class Product(Region):
    """One region per layer, Q block diagonal.

        gauge(Q) = || gauge_l(Q_l) ||_p,    support(S) = || support_l(S_ll) ||_p*,    1/p + 1/p* = 1

    p = inf: every layer has its own budget (max over layers: modula, Muon), and supports add. p = 2: one budget of
    squares for all. p = 1: layers compete, and the one that pays best gets everything. sizes: how many coordinates each
    layer has. Only the diagonal blocks S_ll are read. Source: arXiv 2409.20325 for p = inf; our derivation (Hoelder).

    >>> from fallline.theory import Frobenius
    >>> both = Product((Frobenius(1.0), Frobenius(4.0)), (1, 1))
    >>> both.support(torch.diag(torch.tensor([3.0, 5.0])).double()).item()
    13.0
    """

    parts: tuple[Region, ...]
    sizes: tuple[int, ...]
    p: float = math.inf

    def gauge(self, Q: Tensor) -> Tensor:
        """|| gauge_l(Q_l) ||_p; inf where layers mix."""
        inside = torch.block_diag(*self._blocks(Q))
        mixed = (Q - inside).abs().amax() > ROUNDING * Q.abs().amax()
        each = torch.stack([part.gauge(q) for part, q in zip(self.parts, self._blocks(Q), strict=True)])
        return each.new_tensor(torch.inf) if mixed else torch.linalg.vector_norm(each, self.p)

    def support(self, S: Tensor) -> Tensor:
        """|| support_l(S_ll) ||_p*."""
        return torch.linalg.vector_norm(self._supports(S), self._dual)

    def polar_gauge(self, S: Tensor) -> Tensor:
        """The polar of a product is made of the polars: || polar_gauge_l(S_ll) ||_p*."""
        each = [part.polar_gauge(s) for part, s in zip(self.parts, self._blocks(S), strict=True)]
        return torch.linalg.vector_norm(torch.stack(each), self._dual)

    def optimum(self, S: Tensor) -> Tensor:
        """Each layer's own optimum, times its share of the budget."""
        each = [part.optimum(s) for part, s in zip(self.parts, self._blocks(S), strict=True)]
        return torch.block_diag(*[w * Q for w, Q in zip(self._shares(S), each, strict=True)])

    @property
    def _dual(self) -> float:
        return 1.0 if math.isinf(self.p) else math.inf if self.p == 1 else self.p / (self.p - 1)

    def _shares(self, S: Tensor) -> Tensor:
        """w with ||w||_p = 1 and sum_l w_l support_l = ||support||_p*: Hoelder's equality."""
        h = self._supports(S)
        if math.isinf(self.p):
            return torch.ones_like(h)
        if self.p == 1:
            best = torch.zeros_like(h)
            best[h.argmax()] = 1.0
            return best
        w = (h / h.amax().clamp_min(1e-300)) ** (self._dual - 1)
        return w / torch.linalg.vector_norm(w, self.p).clamp_min(1e-300)

    def _supports(self, S: Tensor) -> Tensor:
        return torch.stack([part.support(s) for part, s in zip(self.parts, self._blocks(S), strict=True)])

    def _blocks(self, X: Tensor) -> list[Tensor]:
        if len(X) != sum(self.sizes):
            raise ValueError(f"the layers have {sum(self.sizes)} coordinates together, and this matrix {len(X)}")
        ends = torch.tensor(self.sizes).cumsum(0).tolist()
        return [X[e - n : e, e - n : e].double() for e, n in zip(ends, self.sizes, strict=True)]
