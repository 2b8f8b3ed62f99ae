"""Closed forms: not the best candidate but the best mixture of the bank."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Selector
from ..core.memory import Memory
from ..statistics.alignment import pay
from ..statistics.average import smooth
from .option import check

CUT = 1e-6  # relative to the strongest direction of N, weaker ones are rounding: at age 1 all filters are the same
MOST = 6  # candidates of a cone: 2^K - 1 faces are tried


@final
@dataclass(frozen=True)
class Span(Selector):
    """The mixture of all candidates that pays best, with weights of either sign.

        pay(c) = <c, a> / sqrt(c^T N c)  is largest at  c = N^-1 a,  where it is sqrt(a^T N^-1 a)

    a_i = <g, D^-1 m_i>; N_ij = inner product of the filters' taps x mean(1 / D). Its sum of taps may vanish or be
    negative, so it needs the scale UnitPower. smoothing averages a. Memory per scope: `aligned`, `pay`, `steps`.
    Reference: the matched filter.

    >>> a, N = torch.tensor([[2.0, 1.0]]), torch.eye(2)[None]
    >>> memory = Memory({"aligned": torch.zeros(1, 2), "pay": torch.zeros(1, 2), "steps": torch.zeros(1)})
    >>> Span().choose(a, N, memory).tolist()
    [[2.0, 1.0]]
    """

    single: ClassVar[bool] = False
    signed: ClassVar[bool] = True
    scope: str = "global"
    score: str = "same"
    power: str = "exact"
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        check(self)

    def decisions(self, k: int) -> dict[str, Tensor]:
        """The averaged alignments and their age."""
        return _averages(k)

    def choose(self, alignment: Tensor, power: Tensor, mem: Memory) -> Tensor:
        """N^-1 a; where nothing aligns, the shortest memory."""
        a = smooth(alignment, mem.aligned, mem.steps, self.smoothing)
        mem.pay.copy_(pay(a, power))
        n = torch.where(power.isfinite().all(-1, keepdim=True), power, 0.0)  # what overflowed says nothing
        c = (torch.linalg.pinv(n, rtol=CUT, hermitian=True) @ a[..., None])[..., 0]
        return _or_first(c)


@final
@dataclass(frozen=True)
class Cone(Selector):
    """The best mixture with weights >= 0: every face of the cone is solved, and the best feasible one wins.

        c_F = N_FF^-1 a_F on a set F of candidates, feasible if c_F >= 0;  its pay is sqrt(<c_F, a_F>)

    Never below the best candidate, since single candidates are faces. smoothing averages a. At most 6 candidates.
    Memory per scope: `aligned`, `pay`, `steps`.

    >>> a, N = torch.tensor([[2.0, -1.0]]), torch.eye(2)[None]
    >>> memory = Memory({"aligned": torch.zeros(1, 2), "pay": torch.zeros(1, 2), "steps": torch.zeros(1)})
    >>> Cone().choose(a, N, memory).tolist()
    [[2.0, 0.0]]
    """

    single: ClassVar[bool] = False
    scope: str = "global"
    score: str = "same"
    power: str = "exact"
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        check(self)

    def decisions(self, k: int) -> dict[str, Tensor]:
        """The averaged alignments and their age."""
        if k > MOST:
            raise ValueError(
                f"Cone tries every subset of the bank and takes at most {MOST} candidates, but got {k}. Use Span."
            )
        return _averages(k)

    def choose(self, alignment: Tensor, power: Tensor, mem: Memory) -> Tensor:
        """c of the best feasible face; where all alignments are negative, the candidate that loses least."""
        a = smooth(alignment, mem.aligned, mem.steps, self.smoothing)
        k = a.shape[1]
        c = _on_faces(_faces(k, a.dtype, a.device), a, power)
        worth = torch.where((c >= 0).all(-1), (c * a[:, None]).sum(-1), -torch.inf)
        best = c.gather(1, worth.argmax(-1)[:, None, None].expand(-1, 1, k))[:, 0]
        mem.pay.copy_(pay(a, power))
        single = torch.nn.functional.one_hot(mem.pay.argmax(-1), k).to(a.dtype)
        return _or_first(torch.where(worth.amax(-1, keepdim=True) > 0, best, single)).abs()  # no minus zeros


@lru_cache(maxsize=64)
def _faces(k: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Every non-empty set of k candidates as a row of zeros and ones: [2^k - 1, k]."""
    return torch.tensor([f for f in product((0.0, 1.0), repeat=k) if any(f)], dtype=dtype, device=device)


def _on_faces(faces: Tensor, a: Tensor, power: Tensor) -> Tensor:
    """N_FF^-1 a_F on every face; [F, K], [scopes, K], [scopes, K, K] -> [scopes, F, K]; NaN where singular."""
    inside = faces[:, :, None] * faces[:, None, :]
    n = power[:, None] * inside + torch.diag_embed(1 - faces)
    solved, _ = torch.linalg.solve_ex(n, (a[:, None] * faces)[..., None])
    sound = torch.linalg.det(n / n.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]).abs() > CUT
    return torch.where(sound[..., None] | (faces.sum(-1) == 1)[:, None], solved[..., 0], torch.nan)


def _averages(k: int) -> dict[str, Tensor]:
    rows = {name: torch.zeros(k, dtype=torch.float64) for name in ("aligned", "pay")}
    return rows | {"steps": torch.zeros((), dtype=torch.float64)}


def _or_first(c: Tensor) -> Tensor:
    """c, or the first candidate where c is zero or not finite."""
    first = torch.eye(1, c.shape[1], dtype=c.dtype, device=c.device)
    return torch.where((c.isfinite().all(-1) & c.any(-1))[:, None], c, first)
