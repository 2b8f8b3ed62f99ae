"""Weights that are turned from both sides, so that their singular values stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.field import Field, each, lerp_
from ..core.memory import Memory
from ..core.part import Combine
from .sphere import TINY, still

SIDES = ("alternating", "both")


@final
@dataclass(frozen=True)
class TwoSided(Combine):
    """W moves along its orbit P W Q with P, Q orthogonal (Pion). G: what filter and metric made; take the raw gradient.

        X_out = G W^T - W G^T,   X_in = W^T G - G^T W      skew: the gradient of turning W from the left, the right
        m, v: averages of X and X^2, no bias correction     A = m / (sqrt(v) + eps)
        alpha = rms sqrt(mn) / norm(A_out W + W A_in)       W <- E(-lr alpha A_out) W E(-lr alpha A_in)

    E(X) = I + X + X^2 / 2 is orthogonal up to X^4 / 4, so singular values stay. sides: "both", or "alternating": left
    in odd steps, right in even ones, each with its own alpha. A zero move leaves W. Units: lr rms is the root mean
    square of a step's entries. Memory: `m_out`, `v_out` `[m, m]`, `m_in`, `v_in` `[n, n]`. Source: arXiv 2605.12492.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    rms: float = 1.0
    sides: str = "alternating"
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        sound = 0.0 <= self.beta1 < 1.0 and 0.0 <= self.beta2 < 1.0 and self.eps >= 0.0 and self.rms > 0.0
        if not sound or self.sides not in SIDES:
            raise ValueError(f"Invalid {self}: betas lie in [0, 1), eps >= 0, rms > 0, sides is one of {SIDES}.")

    def misfit(self, p: Tensor) -> str | None:
        """Zeros cannot be turned."""
        return still(p)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Averages on both sides."""
        sizes = {"out": p.shape[-2], "in": p.shape[-1]}
        return {f"{x}_{s}": p.new_zeros(*p.shape[:-2], k, k) for s, k in sizes.items() for x in "mv"}

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """alpha (A_out W + W A_in), after the averages took in u."""
        out, into = each(lambda g, w: _skew(g @ w.mT), u, p), each(lambda g, w: _skew(w.mT @ g), u, p)
        for side, x in (("out", out), ("in", into)):
            lerp_(mem[f"m_{side}"], x, 1 - self.beta1)
            lerp_(mem[f"v_{side}"], x.square(), 1 - self.beta2)
        return each(lambda a, b, w: a @ w + w @ b, *self._turns(p, mem, t), p)

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """p <- E(-size alpha A_out) p E(-size alpha A_in); the move itself is the first order of it."""
        left, right = self._turns(p, mem, t)
        p.copy_(each(lambda a, b, w, s: _turned(_turned(w, a * -s).mT, (b * -s).mT).mT, left, right, p, size))

    def _turns(self, p: Field, mem: Memory, t: Tensor) -> tuple[Field, Field]:
        """alpha A of both sides; where it is not a side's turn, 0."""
        left, right = (mem[f"m_{s}"] / mem[f"v_{s}"].sqrt().add(self.eps) for s in ("out", "in"))
        return (_both if self.sides == "both" else _alternating)(left, right, p, self.rms, t)


def _both(left: Field, right: Field, p: Field, rms: float, t: Tensor) -> tuple[Field, Field]:
    alpha = each(lambda a, b, w: rms * _alpha(a @ w + w @ b), left, right, p)
    return left * alpha, right * alpha


def _alternating(left: Field, right: Field, p: Field, rms: float, t: Tensor) -> tuple[Field, Field]:
    odd = t % 2  # the engine knows the number of the step on the device only
    left = each(lambda a, w: a * (odd * rms * _alpha(a @ w)), left, p)
    return left, each(lambda b, w: b * ((1 - odd) * rms * _alpha(w @ b)), right, p)


def _alpha(first: Tensor) -> Tensor:
    (m, n), length = first.shape[-2:], first.norm(dim=(-2, -1), keepdim=True)
    return (m * n) ** 0.5 / length.clamp(min=TINY)


def _skew(x: Tensor) -> Tensor:
    return x - x.mT


def _turned(w: Tensor, x: Tensor) -> Tensor:
    """(I + x + x^2 / 2) w, without a product of square matrices."""
    once = x @ w
    return w + once + 0.5 * (x @ once)
