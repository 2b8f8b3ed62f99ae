"""Row: what was heard as numbers under flat names, for dashboards."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..integrations.record import Writer
from .ear import Ear
from .estimate import Estimate, Heard, Pay, Reading

PLAIN = ("noise_scale", "critical_batch", "persistence", "update", "lr", "momentum")
SHAPES = ("stable_rank", "rows", "columns")


def rows(heard: Heard) -> dict[str, float]:
    """Numbers by names such as "total/noise_scale" and "hidden/best_momentum/diagonal"; what is not finite is left out.

    signal: its share of the power. best_momentum, margin: by metric, without the noise of the batch that scores them.
    families: power of directions of equal size. gradient, buffer: shapes of matrices. alarms: how many changes.
    """
    found = {"steps": float(heard.steps), "alarms": float(len(heard.changes))}
    for name, reading in {"total": heard.total, **heard.roles}.items():
        found |= {f"{name}/{key}": x for key, x in _numbers(reading) if math.isfinite(x)}
    return found


def log(ear: Ear, *writers: Writer, step: int | None = None) -> Heard:
    """Tell writers what has been heard so far; step: None for the steps that the ear has counted.

    Takes some tenths of a second: call it every few hundred steps. Under torch.distributed all processes must call it,
    those that write nothing without a writer. Words are the alarms.

        log(ear, TensorBoard(SummaryWriter("runs")), step=step)
    """
    heard = ear.estimates(parameters=False)
    for writer in writers:
        writer.numbers(rows(heard), ear.steps if step is None else step)
        writer.words(words(heard), ear.steps if step is None else step)
    return heard


def words(heard: Heard) -> dict[str, str]:
    """The alarms in words."""
    said = (f"step {one.step}: {one.statistic} of {one.scope}" for one in heard.changes)
    return {"alarms": "; ".join(said) or "none"}


def _numbers(reading: Reading) -> Iterator[tuple[str, float]]:
    yield "signal", reading.signal.value / reading.power.value if reading.power.value > 0 else math.nan
    yield from ((key, _plain(getattr(reading, key))) for key in PLAIN)
    for metric, pay in reading.pay.items():
        yield from ((f"{key}/{metric}", x) for key, x in _momenta(pay))
    for kind, families in (("families", reading.families), ("matrix_families", reading.matrix_families)):
        yield from ((f"{kind}/{name}", power.value) for name, power in families.items())
    for kind, shape in (("gradient", reading.gradient), ("buffer", reading.buffer)):
        yield from ((f"{kind}/{key}", _plain(getattr(shape, key, None))) for key in SHAPES)


def _momenta(pay: Pay) -> Iterator[tuple[str, float]]:
    yield "best_momentum", pay.best_clean.value
    yield "margin", _plain(pay.margin_clean)


def _plain(x: Estimate | float | None) -> float:
    return math.nan if x is None else x.value if isinstance(x, Estimate) else float(x)
