"""Hearing: from sums to estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import family, pay
from .alarm import changes
from .column import Columns
from .estimate import Estimate, Heard, Reading
from .evidence import evidence
from .ground import ground
from .record import Record
from .replicate import Replicates, deviations, replicates
from .signal import buffered, lags, memory

TINY = 1e-300


@ground()
def heard(record: Record, level: float = 0.95, batch: float | None = None, parameters: bool = True) -> Heard:
    """All readings of a record. level: of the intervals; batch: samples of a step, for the critical batch size.

    parameters: whether single ones are read, too, which takes some milliseconds for each.
    """
    if not 0 < level < 1:
        raise ValueError(
            f"Invalid level: {level!r}; an interval holds the true value in a share of runs, such as 0.95."
        )
    spread = deviations(record.runs.double(), record.owner, record.share)
    who = range(len(record.names))

    def read(name: str, kind: str, role: str, of: Sequence[int]) -> Reading:
        return _reading(record, spread, level, batch, (name, kind, role), of)

    kinds = {role: [i for i in who if record.roles[i] == role] for role in record.scopes[1:]}
    single = {record.names[i]: read(record.names[i], "parameter", record.roles[i], [i]) for i in who if parameters}
    return Heard(
        steps=record.steps,
        window=record.window,
        every=record.every,
        stretches=len(record.sums),
        level=level,
        total=read("total", "total", "", list(who)),
        roles={role: read(role, "role", role, of) for role, of in kinds.items()},
        parameters=single,
        changes=tuple(changes(record)),
        bytes=record.bytes,
    )


def _reading(
    record: Record, spread: Tensor, level: float, batch: float | None, called: tuple[str, str, str], of: Sequence[int]
) -> Reading:
    at, columns, counts = torch.tensor(of), record.columns, record.counts.sum(0)
    sums = record.sums[:, at].sum(1)
    r = (sums.sum(0) / counts)[columns["euclid"]]
    reps = replicates(sums, record.counts, spread[torch.isin(record.owner, at)], level, memory(r))
    lr, momentum, metric = _habit(record, of)
    return Reading(
        name=called[0],
        kind=called[1],
        role=called[2],
        tensors=len(of),
        numel=sum(record.numel[i] for i in of),
        sampled=sum(record.sampled[i] for i in of),
        **_lags(reps, record, batch, momentum),
        families=family.sampled(reps, columns["powers"]),
        **_looks(record, level, of, r),
        update=_update(reps, record),
        lr=lr,
        momentum=momentum,
        metric=metric,
        evidence=evidence(record, spread, of, level, metric, momentum),
    )


def _lags(reps: Replicates, record: Record, batch: float | None, momentum: float | None) -> dict[str, Any]:
    """What products of gradients at all lags tell: signal and noise, and what momentum pays."""
    columns, counts = record.columns, record.counts.sum(0)
    euclid, diagonal = (lags(reps, columns[name], counts) for name in ("euclid", "diagonal"))
    crossed = bool(counts[columns["cross"]].sum() > 0)
    power, signal = euclid.r[:, 0], _crossed(reps, columns) if crossed else euclid.b
    scale, correlation = _scale(power, signal), euclid.r / power.clamp(min=TINY)[:, None]
    return {
        "power": reps.told(reps.rows[:, columns["euclid"].start], least=0.0),
        "signal": reps.told(signal, least=0.0),
        "noise": reps.told(power - signal, least=0.0),
        "noise_scale": reps.told(scale),
        "critical_batch": reps.told(batch * scale) if batch else None,
        "persistence": reps.told(euclid.rho if power[0] > 0 else torch.full_like(power, math.nan)),
        "source": "micro-batches" if crossed else "lags",
        "autocorrelation": reps.curve(torch.arange(record.window + 1.0), correlation, -1.0, 1.0),
        "pay": {
            "euclid": pay.linear(reps, euclid, signal, momentum),
            "diagonal": pay.linear(reps, diagonal, diagonal.b, momentum),
            "sign": pay.sign(reps, columns["sign"], columns["held"], momentum),
        },
    }


def _looks(record: Record, level: float, of: Sequence[int], r: Tensor) -> dict[str, Any]:
    """From looks at matrices. Those at one may be so near each other that it remembers, as buffers do for long."""
    mine = set(of)
    looks = [x for i, x in record.looks if i in mine]
    m = buffered(r, max((record.habits[i][1] or 0.0 for i in of), default=0.0))
    per = max(record.steps, 1) / max(len(looks), 1)
    return {
        "matrix_families": family.whole(looks, level, memory(r, m).apart(per)),
        "gradient": family.shape(looks, level, memory(r).apart(per), buffer=False),
        "buffer": family.shape(looks, level, memory(m).apart(per), buffer=True),
        "looks": len(looks),
    }


def _crossed(reps: Replicates, columns: Columns) -> Tensor:
    """Signal from micro-batches: their share of the power, times the power that the optimizer saw."""
    apart, whole = reps.rows[:, columns["cross"]].unbind(1)
    return reps.rows[:, columns["euclid"].start] * apart / whole.clamp(min=TINY)


def _scale(power: Tensor, signal: Tensor) -> Tensor:
    """noise / signal; infinite where there is no signal."""
    return torch.where(signal > 0, (power - signal).clamp(min=0) / signal.clamp(min=TINY), math.inf)


def _update(reps: Replicates, record: Record) -> Estimate | None:
    """RMS of a step over RMS of the weights."""
    moves = record.columns["moves"]
    if not record.counts[:, moves].sum():
        return None
    return reps.estimate(lambda x: (x[..., moves.start].clamp(min=0) / x[..., moves.stop - 1].clamp(min=TINY)).sqrt())


def _habit(record: Record, of: Sequence[int]) -> tuple[float | None, float | None, str | None]:
    """lr, momentum and metric, where all parameters of a scope share them."""
    lrs, momenta = ({record.habits[i][k] for i in of} for k in (0, 1))
    metrics = {record.metrics[i] for i in of}
    lr, momentum = (one.pop() if len(one) == 1 else None for one in (lrs, momenta))
    return lr, momentum, metrics.pop() if len(metrics) == 1 else None
