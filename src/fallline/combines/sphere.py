"""Spheres: the matrices of one norm, and what runs along them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Part
from .stiefel import polar

TINY = 1e-30  # so that nothing divided by nothing is nothing
START = 50  # power iterations from a start that knows nothing


class Sphere(Part):
    """All matrices `[..., m, n]` of one norm."""

    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def observe(self, w: Field, mem: Memory) -> None:
        """Look at the weights before anything is asked of them."""

    @abstractmethod
    def length(self, w: Field, mem: Memory) -> Field:
        """What is held constant: the norm `[..., 1, 1]`, or that of each row or column."""

    @abstractmethod
    def tangent(self, u: Field, w: Field, mem: Memory) -> Field:
        """u without what would change the length of w."""

    @abstractmethod
    def stride(self, move: Field, size: Field | float, radius: Field) -> Field:
        """The move made as long as `size` times the radius."""


@final
@dataclass(frozen=True)
class FrobeniusSphere(Sphere):
    """norm(W)^2 = sum W_ij^2; tangent(M) = M - <M, W> W / norm(W)^2. Memory: none."""

    def length(self, w: Field, mem: Memory) -> Field:
        """The Frobenius norm."""
        return each(_norm, w)

    def tangent(self, u: Field, w: Field, mem: Memory) -> Field:
        """M - <M, W> W / norm(W)^2."""
        return each(lambda m, w: _apart(m, w, (-2, -1)), u, w)

    def stride(self, move: Field, size: Field | float, radius: Field) -> Field:
        """size R move / norm(move)."""
        return each(relative, move, size, radius)


@final
@dataclass(frozen=True)
class ObliqueSphere(Sphere):
    """The norm of every row (dim=-1) or column (dim=-2); tangent(M) = M - <m_i, w_i> w_i / norm(w_i)^2 for each.

    Memory: none.
    """

    dim: int = -1

    def __post_init__(self) -> None:
        if self.dim not in (-1, -2):
            raise ValueError(f"Invalid dim: {self.dim!r}; -1 keeps the norm of rows, -2 that of columns.")

    def length(self, w: Field, mem: Memory) -> Field:
        """The norm of each row or column."""
        return each(lambda x: x.norm(dim=self.dim, keepdim=True), w)

    def tangent(self, u: Field, w: Field, mem: Memory) -> Field:
        """m_i - <m_i, w_i> w_i / norm(w_i)^2."""
        return each(lambda m, w: _apart(m, w, (self.dim,)), u, w)

    def stride(self, move: Field, size: Field | float, radius: Field) -> Field:
        """size R move / norm(move) in Frobenius norms of the whole, so that rows keep their shares of the move."""
        return each(relative, move, size, each(_norm, radius))


@final
@dataclass(frozen=True)
class SpectralSphere(Sphere):
    """The largest singular value, by power iteration; tangent(M) = M - (u^T M v) u v^T with W's first pair u, v.

    iterations: per step and look, from where the last one ended. Memory: `v` `[..., n, 1]`. Its steps trust the metric
    to give directions of spectral norm 1.
    """

    iterations: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise ValueError(f"Invalid iterations: {self.iterations!r}; power iteration takes one or more.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The first right singular vector, nearly."""
        start = p.square().sum(-2).sqrt().unsqueeze(-1)  # every column has a say
        return {"v": _power(start, p, START)}

    def observe(self, w: Field, mem: Memory) -> None:
        """v <- W^T W v, normalised, a few times."""
        mem.v.copy_(each(lambda v, w: _power(v, w, self.iterations), mem.v, w))

    def length(self, w: Field, mem: Memory) -> Field:
        """norm(W v)."""
        return each(lambda v, w: _norm(w @ v), mem.v, w)

    def tangent(self, u: Field, w: Field, mem: Memory) -> Field:
        """M - (u^T M v) u v^T."""
        return each(_deflated, u, w, mem.v)

    def stride(self, move: Field, size: Field | float, radius: Field) -> Field:
        """R move, as the length of the move is `size` already."""
        return move * radius


@final
@dataclass(frozen=True)
class SolvedSphere(Sphere):
    """The largest singular value, with steps whose polar factor is tangent (SSO).

        tangent(M) = M + lambda u v^T   with   <u v^T, polar(M + lambda u v^T)> = 0,   u, v: W's first pair

    lambda by bisection within 2 norm_*(M), where the nuclear norm of M + lambda u v^T is least; exact polar factors,
    one for each of `bisections`, make it slow. v as for `SpectralSphere`. Memory: `v` `[..., n, 1]`. Reference: arXiv
    2601.08393, from a digest; its radius is sqrt(m / n), ours the first length.
    """

    iterations: int = 4
    bisections: int = 30

    def __post_init__(self) -> None:
        if not isinstance(self.bisections, int) or self.bisections < 1:
            raise ValueError(f"Invalid bisections: {self.bisections!r}; it takes one or more.")
        SpectralSphere(self.iterations)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The first right singular vector, nearly."""
        return SpectralSphere(self.iterations).memory(p)

    def observe(self, w: Field, mem: Memory) -> None:
        """As the spectral sphere."""
        SpectralSphere(self.iterations).observe(w, mem)

    def length(self, w: Field, mem: Memory) -> Field:
        """norm(W v)."""
        return SpectralSphere(self.iterations).length(w, mem)

    def tangent(self, u: Field, w: Field, mem: Memory) -> Field:
        """M + lambda u v^T."""
        return each(lambda m, w, v: _balanced(m, _first(w, v), self.bisections), u, w, mem.v)

    def stride(self, move: Field, size: Field | float, radius: Field) -> Field:
        """R move."""
        return move * radius


def _norm(x: Tensor) -> Tensor:
    return x.norm(dim=(-2, -1), keepdim=True)


def relative(move: Tensor, size: Tensor | float, radius: Tensor) -> Tensor:
    """size R move / norm(move), of every matrix."""
    return move * (radius * size / _norm(move).clamp(min=TINY))


def _apart(m: Tensor, w: Tensor, dims: tuple[int, ...]) -> Tensor:
    along = (m * w).sum(dims, keepdim=True) / w.square().sum(dims, keepdim=True).clamp(min=TINY)
    return m - along * w


def _power(v: Tensor, w: Tensor, iterations: int) -> Tensor:
    for _ in range(iterations):
        v = w.mT @ (w @ v)
        v = v / _norm(v).clamp(min=TINY)
    return v


def _first(w: Tensor, v: Tensor) -> Tensor:
    u = w @ v
    return (u / _norm(u).clamp(min=TINY)) @ v.mT


def _deflated(m: Tensor, w: Tensor, v: Tensor) -> Tensor:
    first = _first(w, v)
    return m - _inner(m, first) * first


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((-2, -1), keepdim=True)


def _balanced(m: Tensor, first: Tensor, bisections: int) -> Tensor:
    high = 2 * torch.linalg.matrix_norm(m, "nuc", keepdim=True)
    low = -high
    for _ in range(bisections):
        middle = (low + high) / 2
        over = _inner(first, polar(m + middle * first)) > 0  # the slope of a convex function of lambda
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    return m + (low + high) / 2 * first


def still(p: Tensor) -> str | None:
    """Why weights cannot be turned or kept at their length: they are all zero, and would be for ever."""
    known = p.numel() and p.device.type != "meta"
    return "its weights are all zero, and would stay so" if known and not bool(p.any()) else None
