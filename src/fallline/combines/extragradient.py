"""Extragradient steps around averages: two gradients, of which the first is a guess at the second."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser, check_start
from ..core.field import Field, inner, lerp, over
from ..core.memory import Memory, numbers
from ..core.part import Combine
from ..core.turn import opening, pick

ZERO = ("omega", "total", "spread", "most", "here", "trial", "share", "next", "out", "strayed")


@dataclass(frozen=True)
class _Extragradient(Combine, Chooser):
    """What UniXGrad and U-DoG have in common: the sequences; a subclass says how long r and eta are."""

    walks: ClassVar[int] = 2
    ahead: ClassVar[bool] = True
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """x_0, y, the average of the x, and the guess."""
        names = ("begin", "y", "mean")
        return {**{name: p.detach().clone() for name in names}, "m": torch.zeros_like(p)}

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`reach` (r), `omega`, `total` (of earlier omegas), `spread` (of g - m), `most` (of m); alpha eta of this
        gradient (`here`) and of the first (`trial`); shares of an average that the newest takes (`share`, `next`), and
        of the way from x_0 that a set takes back, from this gradient's point (`out`) and the first's (`strayed`).
        """
        return numbers(dict.fromkeys(("reach", *ZERO), 0.0), device)

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """Lengths and angles of m, g and the way to y, which say how far x and y will be."""
        first, way, lr = opening(t), mem.y - mem.begin, aim.lr
        m = pick(first, g, mem.m)
        mm, gg, change = inner(m, m), inner(g, g), g - m
        angles = [inner(way, way), inner(way, m) * lr, mm * lr**2, inner(way, g) * lr, gg * lr**2]
        second = torch.where(first, 0.0, torch.ones_like(mm))
        return torch.stack([second, inner(mem.begin, mem.begin), mm, inner(change, change), *angles], -1)

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """Sizes and shares of this gradient; after the second, those of the next step."""
        flag, begin, mm, change, ww, wm, xx, wg, yy = measured.unbind(-1)
        second, new = flag > 0, mem.omega == 0
        r = torch.where(new, self._first(begin.sqrt()), mem.reach)
        omega = torch.where(new, r, mem.omega)
        alpha, most = omega / r, torch.maximum(mem.most, mm)
        spread = torch.where(second, mem.spread + alpha**2 * change, mem.spread)
        root = self._root(mem.spread, spread, most)
        here = over(alpha * r, root)
        trial = torch.where(second, mem.trial, here)
        x, y = _length(ww, wm, xx, trial), _length(ww, wg, yy, here)
        reach = torch.where(second, self._reach(r, torch.maximum(x, y)), r)
        out = self._beyond(torch.where(second, y, x))
        strayed = torch.where(second, mem.strayed, out)
        total = torch.where(second, mem.total + omega, mem.total)
        after = torch.where(second, omega + reach, omega)
        share = torch.where(second, mem.share, omega / (total + omega))
        found = reach, after, total, spread, most, here, trial, share, after / (total + after), out, strayed
        for name, x in zip(("reach", *ZERO), found, strict=True):
            mem[name].copy_(x)

    @abstractmethod
    def _first(self, begin: Tensor) -> Tensor:
        """r before anything has moved, from norm(x_0)."""

    @abstractmethod
    def _reach(self, r: Tensor, far: Tensor) -> Tensor:
        """r after the weights have been so far away."""

    @abstractmethod
    def _beyond(self, far: Tensor) -> Tensor:
        """The share of a way so long that leads out of the set where weights must stay."""

    @abstractmethod
    def _root(self, before: Tensor, spread: Tensor, most: Tensor) -> Tensor:
        """r / eta, from the sum of alpha^2 norm(g - m)^2 without and with this gradient, and the largest norm(m)^2."""

    def tangent(self, u: Field, p: Field, mem: Memory, t: Tensor) -> Field:
        """u; the first is kept."""
        mem.m.copy_(pick(opening(t), u, mem.m))
        return u

    def enter(self, p: Field, move: Field, size: Field | float, mem: Memory, t: Tensor) -> None:
        """x <- y - alpha eta m, p <- their average; then y <- y - alpha eta g, p <- the average of all x and y."""
        first, y = opening(t), mem.y + move.mul(mem.here)
        x = mem.y - mem.m.mul(mem.trial * size)
        y, x = y - (y - mem.begin).mul(mem.out), x - (x - mem.begin).mul(mem.strayed)
        x = pick(first, y, x)
        mean = lerp(mem.mean, x, mem.share)
        p.copy_(pick(first, mean, lerp(mean, y, mem.next)))
        mem.mean.copy_(pick(first, mem.mean, mean))
        mem.y.copy_(pick(first, mem.y, y))

    def scale(self, mem: Memory) -> Field | float:
        """alpha eta."""
        return mem.here

    def settled(self, p: Field, mem: Memory, t: Tensor) -> Field:
        """The average of all x."""
        return mem.mean


def _length(ww: Tensor, wu: Tensor, uu: Tensor, c: Tensor) -> Tensor:
    """norm(w - c u)."""
    return (ww - wu * c * 2 + uu * c**2).clamp(min=0.0).sqrt()


@final
@dataclass(frozen=True)
class UDoGExtragradient(_Extragradient):
    """Accelerated DoG: extragradient whose diameter is the distance come.

        r_t = max(start (1 + norm(x_0)), max_{k<=t} norm(x_k - x_0), norm(y_k - x_0)),    omega_t = sum_{k<=t} r_k,
        alpha_t = omega_t / r_t,      m at z_t = average of y_t (weight omega_t) and x_{k+1} (omega_k, k < t)
        x_{t+1} = y_t - alpha_t eta m,    g at w_t, the same with x_{t+1} for y_t,    y_{t+1} = y_t - alpha_t eta' g
        eta = r_t / sqrt(sum_{k<t} alpha_k^2 norm(g_k - m_k)^2 + max norm(m)^2),    eta' with the sum to t

    The paper's stabilisers, with their logarithms, are simplified to max norm(m)^2. For large batches: under noise DoG
    with an average is ahead. For Identity(), Euclid() and Constant(), whose lr is a factor around 1; norms are over all
    parameters. Parameters hold z, `opt.eval()` lays the average w_T into them. Memory: `begin`, `y`, `mean`, `m`, like
    the parameter. Reference: Kreisler, Ivgi, Hinder & Carmon, arXiv 2404.00666 (from a description).

    >>> print(UDoGExtragradient())
    UDoGExtragradient(1e-06)
    """

    start: float = 1e-6

    def __post_init__(self) -> None:
        check_start(self.start, "r_0 is a share > 0 of 1 + norm(x_0), far below any step")

    def _first(self, begin: Tensor) -> Tensor:
        return (begin + 1) * self.start

    def _reach(self, r: Tensor, far: Tensor) -> Tensor:
        return torch.maximum(r, far)

    def _beyond(self, far: Tensor) -> Tensor:
        return torch.zeros_like(far)

    def _root(self, before: Tensor, spread: Tensor, most: Tensor) -> Tensor:
        return (spread + most).sqrt()


@final
@dataclass(frozen=True)
class UniXGradient(_Extragradient):
    """UniXGrad: the same with a diameter that is given, so that omega_t = t D and alpha_t = t.

        eta_t = 2 D / sqrt(1 + sum_{k<t} alpha_k^2 norm(g_k - m_k)^2),    for x and y

    x and y stay in the ball around x_0 where norm(a - b)^2 / 2 <= D^2 for all a and b, so of radius D / sqrt(2): the
    nearest point of it replaces those outside. Without it steps of noise grow until all is lost. Memory and use as
    `UDoGExtragradient`. diameter > 0: a length of weights, too large rather than too small. Reference: Kavis, Levy,
    Bach & Cevher, arXiv 1910.13857; that the set is such a ball is ours.

    >>> print(UniXGradient(2.0))
    UniXGradient(2.0)
    """

    diameter: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.diameter, (int, float)) and self.diameter > 0.0):
            raise ValueError(f"Invalid diameter: {self.diameter!r}; it is a length > 0.")

    def _first(self, begin: Tensor) -> Tensor:
        return torch.full_like(begin, self.diameter)

    def _reach(self, r: Tensor, far: Tensor) -> Tensor:
        return r

    def _beyond(self, far: Tensor) -> Tensor:
        return (1 - self.diameter / 2**0.5 / far).clamp(min=0.0)

    def _root(self, before: Tensor, spread: Tensor, most: Tensor) -> Tensor:
        return (before + 1).sqrt() / 2
