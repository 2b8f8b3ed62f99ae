"""Hearing: from sums to estimates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from . import family, pay
from .alarm import Jumper
from .estimate import Change, Estimate, Heard, Pay, Reading
from .evidence import evidence
from .ground import ground
from .record import Record
from .replicate import Replicates, deviations, replicates
from .signal import fit, weights

RISK = 0.01  # of a false alarm, for each statistic of each scope
SETTLED = 2.0  # windows of steps after which a stretch counts for alarms: the first steps of a run always differ
TINY = 1e-300

Numbers = Callable[[Tensor], Tensor]


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
    record: Record,
    spread: Tensor,
    level: float,
    batch: float | None,
    called: tuple[str, str, str],
    of: Sequence[int],
) -> Reading:
    at, columns = torch.tensor(of), record.columns
    reps = replicates(record.sums[:, at].sum(1), record.counts, spread[torch.isin(record.owner, at)], level)
    euclid, diagonal = (_lags(reps, columns[name]) for name in ("euclid", "diagonal"))
    crossed = bool(record.counts[:, columns["cross"]].sum() > 0)
    signal = _crossed(columns["euclid"], columns["cross"]) if crossed else lambda x: euclid(x)[1]
    lr, momentum, metric = _habit(record, of)
    power: Numbers = lambda x: x[..., columns["euclid"].start]  # noqa: E731
    return Reading(
        *called,
        tensors=len(of),
        numel=sum(record.numel[i] for i in of),
        sampled=sum(record.sampled[i] for i in of),
        power=reps.estimate(power),
        signal=reps.estimate(signal),
        noise=reps.estimate(lambda x: power(x) - signal(x)),
        noise_scale=reps.estimate(lambda x: _ratio(power(x), signal(x))),
        critical_batch=reps.estimate(lambda x: batch * _ratio(power(x), signal(x))) if batch else None,
        persistence=reps.estimate(lambda x: euclid(x)[2]),
        source="micro-batches" if crossed else "lags",
        autocorrelation=reps.curve(
            torch.arange(record.window + 1.0),
            lambda x: x[..., columns["euclid"]] / power(x).clamp(min=TINY)[..., None],
        ),
        pay=_pays(reps, record, euclid, diagonal, signal, momentum),
        families=family.sampled(reps, columns["powers"]),
        matrix_families=family.whole(record.looks, of, level),
        gradient=family.shape(record.looks, of, level, buffer=False),
        buffer=family.shape(record.looks, of, level, buffer=True),
        update=_update(reps, record),
        lr=lr,
        momentum=momentum,
        metric=metric,
        evidence=evidence(record, spread, of, level, metric, momentum),
        looks=sum(i in set(of) for i, _ in record.looks),
    )


def _lags(reps: Replicates, at: slice) -> pay.Lags:
    """r, and its fit with weights from the replicates, which are the same for all of them."""
    w = weights(reps.drawn[:, at])
    known: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def lags(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if x.ndim not in known:  # the means, or their replicates: once each
            r = x[..., at].nan_to_num()  # of lags longer than the run nothing is known
            known[x.ndim] = r, *fit(r, w)
        return known[x.ndim]

    return lags


def _crossed(euclid: slice, cross: slice) -> Numbers:
    """Signal from micro-batches: their share of the power, times the power that the optimizer saw."""
    return lambda x: x[..., euclid.start] * x[..., cross.start] / x[..., cross.start + 1].clamp(min=TINY)


def _ratio(power: Tensor, signal: Tensor) -> Tensor:
    """noise / signal; infinite where there is no signal."""
    return torch.where(signal > 0, (power - signal).clamp(min=0) / signal.clamp(min=TINY), math.inf)


def _pays(
    reps: Replicates, record: Record, euclid: pay.Lags, diagonal: pay.Lags, signal: Numbers, beta: float | None
) -> dict[str, Pay]:
    columns = record.columns

    def without(lags: pay.Lags, known: Numbers | None) -> pay.Lags:
        def clean(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            r, b, rho = lags(x)
            head = b if known is None else known(x)
            return torch.cat([head[..., None], r[..., 1:]], -1), b, rho

        return clean

    return {
        "euclid": pay.linear(reps, euclid, without(euclid, signal), beta),
        "diagonal": pay.linear(reps, diagonal, without(diagonal, None), beta),
        "sign": pay.sign(reps, columns["sign"], columns["held"], beta),
    }


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


def changes(record: Record, risk: float = RISK) -> list[Change]:
    """Alarms of the log gradient norm and of the lag-1 correlation, over all and for each role."""
    found = []
    for i, scope in enumerate(record.scopes):
        for name in ("log gradient norm", "lag-1 correlation"):
            jumper = Jumper(risk)
            for step, x in record.recent:
                if step > SETTLED * record.window and jumper.hear(_statistic(name, x[i])):
                    found.append(Change(step, scope, name, jumper.top, risk))
    return sorted(found)


def _statistic(name: str, x: Tensor) -> float:
    square, next_to = x.tolist()
    if not square > 0:
        return math.nan
    return math.log(square) / 2 if name == "log gradient norm" else next_to / square
