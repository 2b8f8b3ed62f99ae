"""Counsel: the table of rules, and how each reads its statistic. What they say stands in voice.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean, stdev

from . import voice
from .alarm import SETTLED
from .case import Case, Counsel, Saying
from .estimate import Change, Estimate
from .student import quantile
from .voice import rounded

PAYS = ("euclid", "diagonal", "sign")  # metrics whose pay is known as a function of momentum
UNEVEN = ("euclid", "spectral")  # metrics that leave rows as unequal as they are
UNKNOWN = "the metric in use is not known, or not the same in the whole scope"
NO_SIGNAL = "no signal above the noise: earlier gradients say nothing of later ones"
FEW_LOOKS = "fewer than four looks at matrices whose optimizer keeps a momentum"
NO_LOSS = "no loss was given: ear.recommend(loss=...)"
MINOR = 0.1  # part of the steps before or after a change, from which on numbers mix two regimes

Read = Callable[[Case], Estimate | str | None]


def always(case: Case) -> None:
    """Nothing speaks against it."""


# --- signal -------------------------------------------------------------------------------------------------------


def no_signal(case: Case) -> str | None:
    """Whether later gradients are strangers to earlier ones."""
    return NO_SIGNAL if case.at(case.reading.evidence.held).holds(0.0) else None


# --- momentum -----------------------------------------------------------------------------------------------------


def momentum_margin(case: Case) -> Estimate | str:
    """How much more the best momentum earns than the one in use, on the same batch."""
    metric, margin = case.reading.metric, case.reading.evidence.margin
    if metric is None:
        return UNKNOWN
    if metric not in PAYS:
        return f"no pay is known of {metric} directions"
    return "the momentum in use is not known, or not the same" if margin is None else case.at(margin)


def momentum_held_back(case: Case) -> str | None:
    """No signal; or one that lasts, and later batches, which do not share this noise, speak clearly against it."""
    found = case.reading.evidence
    lasts = case.at(found.held).low > 0  # of gradients that turn round later batches know nothing good of any momentum
    against = lasts and found.later is not None and case.at(found.later).high < 0
    words = (
        f"momentum {rounded(found.choice):g} earns more on its own batch, but less on later ones, than what is there"
    )
    return no_signal(case) or (words if against else None)


# --- metric -------------------------------------------------------------------------------------------------------


def bent_lead(family: str) -> Read:
    """By how much the best step along a family's direction gains more than along the one in use."""

    def read(case: Case) -> Estimate | str | None:
        bent, role, used = case.curvature, case.reading.name, case.reading.metric
        if bent is None:
            return NO_LOSS
        if role not in bent.used or family == used:
            return None
        return UNKNOWN if used is None else bent.lead(role, family, used, case.level)

    return read


def aligned_lead(family: str) -> Read:
    """By how much a family earns more at equal size than the one in use, and than Euclid."""

    def read(case: Case) -> Estimate | str | None:
        reading = case.reading
        if reading.metric is None:
            return UNKNOWN
        if family == reading.metric:
            return None
        lead = reading.evidence.lead.get(family)
        if lead is None:
            return FEW_LOOKS
        return case.at(lead)

    return read


def aligned_held_back(family: str) -> Callable[[Case], str | None]:
    """No signal, or the curvature speaks against it."""

    def against(case: Case) -> str | None:
        bent = bent_lead(family)(case)
        worse = isinstance(bent, Estimate) and bent.high < 0
        return no_signal(case) or (f"curvature speaks against {family}" if worse else None)

    return against


def imbalance(side: str) -> Read:
    """n sum r^4 / (sum r^2)^2 of the norms of rows, or of columns."""

    def read(case: Case) -> Estimate | str | None:
        reading = case.reading
        if reading.metric is None:
            return UNKNOWN
        if reading.metric not in UNEVEN:
            return None
        shape = reading.gradient
        return FEW_LOOKS if shape is None else case.at(shape.rows if side == "row" else shape.columns)

    return read


# --- learning rate ------------------------------------------------------------------------------------------------


def sharp_share(case: Case) -> Estimate | str:
    """Batch sharpness over the ceiling that momentum leaves it."""
    metric, beta = case.reading.metric, case.reading.momentum
    if not case.sharp:
        return NO_LOSS
    if metric not in ("euclid", "diagonal") or beta is None:
        return "the ceiling is known for Euclid and diagonal metrics with one momentum"
    shares = [one.share / ceiling(metric, beta) for one in case.sharp if one.share is not None]
    if len(shares) < 3:
        return "the learning rate is not known" if not shares else "fewer than three batches"
    half = quantile(case.level, len(shares) - 1) * stdev(shares) / math.sqrt(len(shares))
    mean = fmean(shares)
    return Estimate(mean, mean - half, mean + half, case.level)


def ceiling(metric: str, beta: float) -> float:
    """Up to how many 2 / lr a bowl may be sharp: 1 + beta where the buffer is a sum of gradients, as in torch's SGD,
    and (1 + beta) / (1 - beta) where it is their average, as in Adam.

    >>> ceiling("euclid", 0.9), round(ceiling("diagonal", 0.9), 9)
    (1.9, 19.0)
    """
    return (1 + beta) / (1 if metric == "euclid" else 1 - beta)


def reversal(case: Case) -> Estimate:
    """- r_1 / r_0: what part of the power turns round from one step to the next."""
    x = case.at(case.reading.evidence.next)
    return replace(x, value=-x.value, low=-x.high, high=-x.low)


# --- batch size ---------------------------------------------------------------------------------------------------


def noise_scale(case: Case) -> Estimate:
    """Noise over signal, in batches."""
    return case.at(case.reading.noise_scale)


def signal_scale(case: Case) -> Estimate:
    """Signal over noise."""
    x = noise_scale(case)
    value, low, high = (1 / end if end > 0 else math.inf for end in (x.value, x.high, x.low))
    return Estimate(value, low, high, x.level)


def batch_held_back(case: Case) -> str | None:
    """No signal, too little to say how much, or one that turns round, which no batch size mends."""
    turns = case.at(case.reading.evidence.held).high < 0
    known = math.isfinite(noise_scale(case).high)
    return no_signal(case) or ("gradients turn round" if turns else None if known else NO_SIGNAL)


# --- regime -------------------------------------------------------------------------------------------------------


def last_change(case: Case) -> Change | None:
    """The last alarm that cuts what was heard in two parts, each of some length.

    Of correlations alone: norms always drift, and all that rules read is relative to a stretch's own power.
    """
    room, end = MINOR * case.heard.steps, case.heard.steps
    mine = [c for c in case.heard.changes if c.statistic == "lag-1 correlation" and room <= c.step <= end - room]
    return mine[-1] if mine else None


def alarm(case: Case) -> Estimate | str:
    """The martingale at its alarm over what an alarm takes, 1 / risk: it has a level of its own."""
    heard, found = case.heard, last_change(case)
    if heard.steps < (SETTLED + 1) * heard.window:
        return f"alarms need more than {SETTLED + 1:g} windows of {heard.window} steps"
    passed = 0.0 if found is None else found.evidence * found.risk
    return Estimate(passed, passed, math.inf if found else 0.0, case.level)


def told_of_change(case: Case, x: Estimate) -> Saying:
    """When it was."""
    return voice.regime(last_change(case), case.heard.steps)


# --- the table ----------------------------------------------------------------------------------------------------

LIVE, PAPER, BALLS = "arXiv 2102.10439, 1204.3251", "arXiv 2512.06370", "arXiv 2409.20325"
ROWS, EDGE, BEND, NOISE = "arXiv 2510.05491", "arXiv 2412.20553, 2604.14108", "arXiv 2103.00065", "arXiv 1812.06162"

MARGIN = "margin of the same batch's pay"
DROP = "best drop to second order, over that of the metric in use"
COSINE = "<g, d> / (|g| |d|), over that of the metric in use and of Euclid"
UNEVENNESS = "n sum r^4 / (sum r^2)^2 of the norms of rows, or of columns"

# fmt: off
TABLE = (
    Counsel("regime", "regime", "total", LIVE, "martingale of the lag-1 correlation at an alarm, times its risk", 0.999,
            alarm, always, told_of_change),
    Counsel("momentum", "momentum", "role", PAPER, MARGIN, 0.05,
            momentum_margin, momentum_held_back, voice.momentum),
    *(Counsel(f"{family} by curvature", "metric", "role", BALLS, DROP, 0.1,
              bent_lead(family), always, voice.bent(family)) for family in ("euclid", "diagonal", "row", "spectral")),
    *(Counsel(f"{family} by alignment", "metric", "role", PAPER, COSINE, 0.1,
              aligned_lead(family), aligned_held_back(family), voice.aligned(family))
      for family in ("diagonal", "row", "column", "spectral")),
    *(Counsel(f"{side} imbalance", "metric", "role", ROWS, UNEVENNESS, 5.0,
              imbalance(side), always, voice.uneven(side)) for side in ("row", "column")),
    Counsel("sharpness", "learning rate", "total", EDGE, "batch sharpness over its ceiling", 1.2,
            sharp_share, always, voice.sharp),
    Counsel("reversal", "learning rate", "total", BEND, "-r_1 / r_0", 0.05,
            reversal, always, voice.reversal),
    Counsel("larger batch", "batch size", "total", NOISE, "noise scale, in batches", 4.0,
            noise_scale, batch_held_back, voice.larger),
    Counsel("smaller batch", "batch size", "total", NOISE, "1 / noise scale, in batches", 4.0,
            signal_scale, batch_held_back, voice.smaller),
)
# fmt: on
