"""Voice: what the rules of the table say, in sentences with numbers, and in settings for a program."""

from __future__ import annotations

import math
from collections.abc import Callable

from .case import Case, Saying
from .estimate import Change, Estimate, Evidence

MOST = 64  # times as large, or as small, a batch is advised to be
ENOUGH = 0.25  # of the signal's power: noise that a batch may be left with

Voice = Callable[[Case, Estimate], Saying]


def percent(share: float) -> str:
    """A share, in words.

    >>> percent(0.123), percent(-0.05), percent(2.5), percent(float("inf"))
    ('+12 %', '-5 %', '+250 %', 'more than tenfold')
    """
    return "more than tenfold" if share > 9 else f"{100 * share:+.0f} %"


def between(x: Estimate) -> str:
    """An interval of a share."""
    return f"between {percent(x.low)} and {percent(x.high)}"


def rounded(beta: float) -> float:
    """A momentum, to two digits of 1 - beta.

    >>> rounded(0.94372), rounded(0.98871), rounded(0.1362), rounded(0.0)
    (0.944, 0.989, 0.14, 0.0)
    """
    digits = 1 - math.floor(math.log10(1 - beta)) if beta < 1 else 2
    return max(round(1 - round(1 - beta, digits), digits), 0.0)


def momentum(case: Case, margin: Estimate) -> Saying:
    """Another momentum; with torch's SGD another lr, so that the sum of the taps stays."""
    reading = case.reading
    found, used = reading.evidence, reading.momentum or 0.0
    best = rounded(found.choice)
    way = "Raise" if best > used else "Lower"
    settings: dict[str, float | str] = {"momentum": best}
    what = f"{way} it from {used:g} to {best:g}."
    if reading.metric == "euclid":  # its buffer is a sum, as in torch's SGD
        settings["lr factor"] = float(f"{(1 - best) / (1 - used):.3g}")
        what += f" If the buffer is a plain sum, as in torch's SGD, multiply lr by {settings['lr factor']:g}."
    gain = percent(margin.value)
    why = f"At equal size a step earns {gain} more on its batch ({between(margin)}). {_later(found, used)}"
    return Saying(what, why, f"{gain} first-order drop per step of equal size", settings, margin.value)


def _later(found: Evidence, used: float) -> str:
    """What later batches say of it."""
    words = f"Most would earn {rounded(found.best):g}; on later batches, which do not share its noise, "
    words += f"{rounded(found.best_later):g}: "
    same = (found.best_later - used) * (found.choice - used) > 0
    return words + ("the same way." if same else "the other way, but not clearly.")


def metric_words(family: str, used: str | None) -> str:
    """What to do."""
    known = {
        "euclid": "plain gradients (SGD)",
        "diagonal": "a diagonal metric (Adam)",
        "row": "rows of equal norm",
        "column": "columns of equal norm",
        "spectral": "the spectral metric (Muon)",
    }
    return f"Walk in {known[family]} instead of {used}, and tune lr anew." if used else ""


def _walk(family: str, why: str, effect: str) -> Voice:
    """Another metric, with the interval of its lead in the reason."""

    def say(case: Case, lead: Estimate) -> Saying:
        gain, what = percent(lead.value), metric_words(family, case.reading.metric)
        said = why.format(gain=gain, range=between(lead))
        return Saying(what, said, f"{gain} {effect}", {"metric": family}, lead.value)

    return say


def bent(family: str) -> Voice:
    """By curvature."""
    why = "The best step along it gains {gain} more, to second order ({range})."
    return _walk(family, why, "drop of the best single step")


def aligned(family: str) -> Voice:
    """By alignment."""
    why = "Made of earlier gradients, and at equal size, it meets new ones better ({range}): noise differs."
    return _walk(family, why, "first-order drop per step of equal size")


def uneven(side: str) -> Voice:
    """By imbalance: something to try."""

    def say(case: Case, x: Estimate) -> Saying:
        used = case.reading.metric
        what = f"Try {side}s of equal norm, or a diagonal metric, instead of {used}."
        why = f"Few {side}s carry the gradient: imbalance {x.value:.1f}, at least {x.low:.1f}, where 1 is even."
        return Saying(what, why, "not known: nothing here says that small norms are worth as much", {"metric": side},
                      0.0, claim=False)  # fmt: skip

    return say


def sharp(case: Case, share: Estimate) -> Saying:
    """Below the ceiling."""
    factor = float(f"{1 / share.value:.2g}")
    why = f"Batches are {share.value:.2g} times as sharp as a bowl may be at this lr (at least {share.low:.2g})."
    return Saying(f"Multiply lr by {factor:g}.", why, "steps no longer overshoot", {"lr factor": factor}, 0.0)


def reversal(case: Case, part: Estimate) -> Saying:
    """Half of it."""
    why = f"Gradients turn round from step to step, with {100 * part.value:.0f} % of their power (at least "
    why += f"{100 * part.low:.0f} %): steps overshoot along some direction."
    return Saying("Try half the lr.", why, "not known", {"lr factor": 0.5}, 0.0, claim=False)


def larger(case: Case, scale: Estimate) -> Saying:
    """Until noise and signal are about as large."""
    k = min(2 ** round(math.log2(scale.value)), MOST)
    steps = (1 + scale.value / k) / (1 + scale.value)
    why = f"A batch has {scale.value:.3g} times as much noise as signal (at least {scale.low:.3g}): B_noise / B."
    effect = f"{percent(steps - 1)} steps at {k * steps:.2g} times the samples, for the same loss"
    what = f"If steps are dear, make the batch {k} times as large, or accumulate {k}."
    return Saying(what, why, effect, {"batch factor": float(k)}, 0.0)


def smaller(case: Case, scale: Estimate) -> Saying:
    """Until noise is a quarter of the signal."""
    k = min(2 ** round(math.log2(max(ENOUGH * scale.value, 2))), MOST) if math.isfinite(scale.value) else MOST
    noise = 1 / scale.value
    steps = (1 + k * noise) / (1 + noise)
    why = f"A batch has {noise:.2g} times as much noise as signal (at most {1 / scale.low:.2g})."
    effect = f"{percent(steps - 1)} steps at {steps / k:.2g} times the samples, for the same loss"
    return Saying(f"A batch 1 / {k} as large would do.", why, effect, {"batch factor": 1 / k}, 0.0)


def regime(found: Change | None, steps: int) -> Saying:
    """Two regimes in one record."""
    step, scope, risk = (found.step, found.scope, found.risk) if found else (0, "", 0.0)
    why = (
        f"Gradients of {scope} follow one another in another way since step {step} of {steps}: these numbers mix what "
    )
    why += f"was before and after (risk of a false alarm {risk:g})."
    return Saying("Listen anew from here.", why, "advice that fits the run as it is now", {}, math.inf)
