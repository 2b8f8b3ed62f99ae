"""Evidence: what speaks for another momentum or metric, with every stretch of steps counting alike.

Gradients shrink as a model learns, and sums of products would tell of the first steps alone: here each stretch is
taken relative to its own power. All is linear in the autocorrelation, so that no fit can mistake noise for signal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .column import BETAS, POWERS, Columns
from .estimate import Estimate, Evidence
from .family import LEAST, cosine
from .look import FAMILIES
from .pay import GRID
from .record import Record
from .replicate import Replicates, replicates

HELD = 0.5  # the momentum by which it is asked whether earlier gradients say anything: few lags, short bars
ELEMENTWISE = {"euclid": "m", "diagonal": "d", "sign": "s"}  # families, and their letters in POWERS
FLAT = 0.05  # what more or less pay does not matter: curves are flat around their best
LAST = 8  # lags from which those beyond the window are continued
TINY = 1e-300

Power = Callable[[Tensor], Tensor]  # of means, or of replicates of them


def evidence(
    record: Record, spread: Tensor, of: Sequence[int], level: float, metric: str | None, beta: float | None
) -> Evidence:
    """Of a scope. spread: how far the sums of runs lie from those of their tensor."""
    at, columns = torch.tensor(of), record.columns
    sums, apart = record.sums[:, at].sum(1), spread[torch.isin(record.owner, at)]
    lags = columns["diagonal" if metric == "diagonal" else "euclid"]
    even = evened(sums, record.counts, apart, lags.start, level)
    own = metric == "sign"
    paid = evened(sums, record.counts, apart, columns["sign"].start, level) if own else even
    pay = signed(columns, beta) if own else linear(lags, columns.total, beta, persistence(paid.mean[lags]))
    best, later = pay.peak(paid.mean, pay.same), pay.peak(paid.mean, pay.later)
    choice = pay.near(paid.mean, best)
    return Evidence(
        held=even.estimate(lambda x: x @ held(lags, columns.total)),
        next=even.estimate(lambda x: x[..., lags.start + 1]),
        best=float(pay.betas[best]),
        best_later=float(pay.betas[later]),
        choice=float(pay.betas[choice]),
        margin=None if beta is None else paid.estimate(lambda x: pay.over(x, choice)),
        later=None if beta is None else paid.estimate(lambda x: pay.differs(x, choice)),
        lead=tiles(record, of, level, metric) | sampled(sums, columns, level, metric),
    )


def evened(sums: Tensor, counts: Tensor, apart: Tensor, by: int, level: float) -> Replicates:
    """Replicates of settled sums [B, C] relative to the column `by`, stretch by stretch: its mean is 1 in all."""
    power = sums[:, by] / counts[:, by].clamp(min=1)
    even = torch.where(power > 0, 1 / power.clamp(min=TINY), 0.0)
    whole = sums[:, by].sum().clamp(min=TINY)
    known = counts[skipped(len(sums)) :].sum(0) > 0  # of lags longer than a run nothing is known: they count as 0
    left, n = settled(sums * even[:, None] * known, counts.where(known, torch.ones_like(counts)))
    return replicates(left, n, apart / whole * n.sum(0), level)


def settled(sums: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Without the first quarter of the stretches, in which a run settles, and without a straight trend of the rest.

    What slowly falls or rises varies no more than its distance from a line; its mean stays. One more number is fitted
    to B stretches, so that what is left is made larger by sqrt((B - 1) / (B - 2)).
    """
    first = skipped(len(sums))
    sums, counts = sums[first:], counts[first:]
    b, mean = len(sums), sums.sum(0) / counts.sum(0)
    if b < LEAST:
        return sums, counts
    e, at = sums - mean * counts, (torch.arange(b, dtype=sums.dtype) - (b - 1) / 2)[:, None]
    e = e - at * (at * e).sum(0) / at.square().sum()
    return mean * counts + (e - e.mean(0)) * math.sqrt((b - 1) / (b - 2)), counts


def skipped(stretches: int) -> int:
    """How many of so many are left out, as the run settles.

    >>> [skipped(n) for n in (4, 8, 13)]
    [0, 2, 3]
    """
    return stretches // 4 if stretches >= 8 else 0


# --- momentum -----------------------------------------------------------------------------------------------------


def held(lags: slice, total: int) -> Tensor:
    """sqrt(1 - beta^2) beta^(k-1) for lags k >= 1 at momentum HELD, [C]."""
    taps = torch.zeros(total, dtype=torch.float64)
    k = torch.arange(lags.stop - lags.start - 1)
    taps[lags.start + 1 : lags.stop] = math.sqrt(1 - HELD**2) * HELD**k
    return taps


class Paid(NamedTuple):
    """Pay at `betas` and, in the last column, at `used`: linear maps [C, betas + 1] of what was summed."""

    betas: Tensor
    same: Tensor
    later: Tensor
    used: float

    def peak(self, x: Tensor, pay: Tensor) -> int:
        """Where it is highest."""
        return int((x @ pay)[:-1].argmax())

    def near(self, x: Tensor, best: int) -> int:
        """The momentum that is nearest to the one in use, of all that earn nearly as much as the best."""
        y = (x @ self.same)[:-1]
        away = (self.betas - self.used).abs() + (y < (1 - FLAT) * y[best]) * 2
        return int(away.argmin()) if y[best] > 0 else best

    def over(self, x: Tensor, one: int) -> Tensor:
        """By how much that of one momentum exceeds that of the one in use, as a share."""
        y = x @ self.same[:, [one, -1]]
        return lead(y[..., 0], y[..., 1])

    def differs(self, x: Tensor, one: int) -> Tensor:
        """The same of later pay, which may be negative, as a share of the larger of both."""
        y = x @ self.later[:, [one, -1]]
        return (y[..., 0] - y[..., 1]) / y.abs().amax(-1).clamp(min=TINY)


def linear(lags: slice, total: int, beta: float | None, rho: float) -> Paid:
    """Euclid, diagonal: sqrt(1 - beta^2) sum_k beta^k r_k; later: sqrt(1 - beta^2) sum_{k >= 1} beta^(k-1) r_k.

    Beyond the L lags that were heard r_{L+j} = c rho^(j + 3.5), where c is the mean of the last eight.
    """
    betas = torch.cat([GRID, torch.tensor([0.0 if beta is None else min(beta, 0.9999)], dtype=torch.float64)])
    count = lags.stop - lags.start
    k, size, end = torch.arange(count)[:, None], (1 - betas.square()).sqrt(), min(LAST, count - 1)
    beyond = rho ** ((end - 1) / 2) * betas ** (count - 1) * betas * rho / (1 - betas * rho) / end
    taps = betas**k + torch.where(k >= count - end, beyond, 0.0)
    same, later = torch.zeros(2, total, len(betas), dtype=torch.float64)
    same[lags] = size * taps
    later[lags] = torch.where(k > 0, size * (betas ** (k - 1).clamp(min=0) + (taps - betas**k)), 0.0)
    return Paid(GRID, same, later, float(betas[-1]))


def persistence(r: Tensor) -> float:
    """How r falls from lag to lag: from the first half of the lags to the second; between 0 and 1.

    >>> round(persistence(0.9 ** torch.arange(33.0)), 3)
    0.9
    """
    half = (len(r) - 1) // 2
    if not half:
        return 0.0
    first, second = float(r[1 : 1 + half].mean()), float(r[1 + half : 1 + 2 * half].mean())
    return min(max(second / first, 0.0), 1.0) ** (1 / half) if first > 0 else 0.0


def signed(columns: Columns, beta: float | None) -> Paid:
    """Sign: what was scored at a few momenta; between them pay is taken to be straight."""
    betas = torch.tensor(BETAS, dtype=torch.float64)
    at = min(beta or 0.0, BETAS[-1])
    right = next(i for i in range(1, len(BETAS)) if BETAS[i] >= at)
    share = (at - BETAS[right - 1]) / (BETAS[right] - BETAS[right - 1])
    picks = torch.eye(len(betas), dtype=torch.float64)
    picks = torch.cat([picks, ((1 - share) * picks[right - 1] + share * picks[right])[:, None]], 1)
    same, later = torch.zeros(2, columns.total, len(betas) + 1, dtype=torch.float64)
    same[columns["sign"]], later[columns["held"]] = picks, picks
    return Paid(betas, same, later, at)


# --- families -----------------------------------------------------------------------------------------------------


def tiles(record: Record, of: Sequence[int], level: float, used: str | None) -> dict[str, Estimate]:
    """Leads of all families on tiles of matrices, which are looked at rarely."""
    rows = [x for i, x in record.looks if i in set(of) and x[-2] > 0]
    if len(rows) < LEAST:
        return {}
    x = torch.stack(rows).double()
    names = [name for name in FAMILIES if name != "diagonal" or bool((x[:, -1] > 0).all())]
    y = [cosine(x[:, 6 + 2 * k], x[:, 7 + 2 * k], x[:, -3]) for k in map(FAMILIES.index, names)]
    return leads(torch.stack(y, 1), names, level, used)


def sampled(sums: Tensor, columns: Columns, level: float, used: str | None) -> dict[str, Estimate]:
    """Leads of elementwise families on sampled coordinates."""
    x = dict(zip(POWERS, sums[:, columns["powers"]].unbind(1), strict=True))
    y = [cosine(x["g" + d], x[d + d], x["gg"]) for d in ELEMENTWISE.values()]
    return leads(torch.stack(y, 1), list(ELEMENTWISE), level, used)


def leads(y: Tensor, names: Sequence[str], level: float, used: str | None) -> dict[str, Estimate]:
    """By how much each family earns more than the one in use and than Euclid, as a share; y [times, families].

        lead_f = c_f / max(c_used, c_Euclid) - 1,    c_f = <g, d_f> / (|g| |d_f|),    d from earlier gradients

    Without noise Euclid earns most of all (Cauchy-Schwarz), so that who leads it does so because of noise.
    """
    if used not in names:
        return {}
    reps = replicates(*settled(y, torch.ones_like(y)), y.new_zeros(0, y.shape[1]), level)
    rivals = [names.index("euclid"), names.index(used)]

    def over(i: int) -> Power:
        return lambda x: lead(x[..., i], x[..., rivals].amax(-1))

    return {name: reps.estimate(over(i)) for i, name in enumerate(names) if i not in rivals}


def lead(mine: Tensor, rival: Tensor) -> Tensor:
    """mine / rival - 1; over a rival that earns nothing infinite, or -1 where neither earns.

    >>> lead(torch.tensor([3.0, 1.0, -1.0]), torch.tensor([2.0, -1.0, -1.0]))
    tensor([ 0.5000,     inf, -1.0000])
    """
    alone = torch.where(mine > 0, math.inf, -1.0) + 0 * mine  # NaN stays NaN
    return torch.where(rival > 0, mine / rival.clamp(min=TINY) - 1, alone)
