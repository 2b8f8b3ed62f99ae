"""The greedy momentum rule written once more, from the formulas alone: the oracle of the engine."""

from __future__ import annotations

import torch
from torch import Tensor


class GreedyReference:
    """Full bank, same-batch score, exact power, EMA-normalised output; AdamW (beta2 given) or SGD (beta2 None).

    alignment_k = <g, D^-1 m_k>,  power_k = (1 - b_k^2n) / (1 - b_k^2) W,  m_k = sum_j b_k^j g_{n-j},  W = mean(1 / D)
    """

    def __init__(
        self, params: list[Tensor], bank: tuple[float, ...], lr: float, decay: float, beta2: float | None, alone: bool
    ):
        self.p, self.bank, self.lr, self.decay, self.beta2, self.alone = params, bank, lr, decay, beta2, alone
        self.m = [[torch.zeros_like(p) for _ in bank] for p in params]
        self.v = [torch.zeros_like(p) for p in params]
        self.n = 0

    def pays(self, chosen: list[int], grads: list[Tensor], inverse: list[Tensor]) -> list[float]:
        """pay_k over the tensors in `chosen`."""
        result = []
        for k, b in enumerate(self.bank):
            alignment = sum((grads[i] * inverse[i] * self.m[i][k]).sum() for i in chosen)
            width = sum(inverse[i].sum() for i in chosen) / sum(grads[i].numel() for i in chosen)
            result.append(float(alignment / ((1 - b ** (2 * self.n)) / (1 - b**2) * width) ** 0.5))
        return result

    def step(self, grads: list[Tensor]) -> list[int]:
        """Move the parameters; the choice of each tensor."""
        self.n += 1
        inverse = [self._inverse(i, g) for i, g in enumerate(grads)]
        for i, g in enumerate(grads):
            self.m[i] = [b * m + g for b, m in zip(self.bank, self.m[i], strict=True)]
        scopes = [[i] for i in range(len(grads))] if self.alone else [list(range(len(grads)))]
        choices = [0] * len(grads)
        for scope in scopes:
            pays = self.pays(scope, grads, inverse)
            for i in scope:
                choices[i] = pays.index(max(pays))
                self._move(i, choices[i], inverse[i])
        return choices

    def _inverse(self, i: int, g: Tensor) -> Tensor:
        if self.beta2 is None:
            return torch.ones_like(g)
        self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g * g
        return 1 / ((self.v[i] / (1 - self.beta2**self.n)).sqrt() + 1e-8)

    def _move(self, i: int, k: int, inverse: Tensor) -> None:
        b = self.bank[k]
        mean = self.m[i][k] * (1 - b) / (1 - b**self.n)
        self.p[i] = (1 - self.lr * self.decay) * self.p[i] - self.lr * inverse * mean
