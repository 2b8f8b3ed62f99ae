"""Is a choice more than luck? The report's word for it."""

from __future__ import annotations

import math

FEW = 10  # measurements: what an average with the recommended smoothing has forgotten its first one after
CLOSE = 0.01  # a lead of one percent of the largest pay matters to nobody
RISK = 0.05


def luck(led: float, n: int, k: int, decay: float = 0.0, hysteresis: int = 1) -> float:
    """A bound on the chance that one of k equal candidates leads another by `led` of n choices.

        (k - 1) exp(-m (led / n)^2 / 2),    m = n (1 - decay) / (1 + decay) / (2^{hysteresis + 1} - 3)

    Hoeffding's inequality for m votes; smoothing and hysteresis make votes follow their predecessors. Derived and
    simulated in `fallline.theory.stability.agreement`.

    >>> round(luck(30, 30, 2), 8)
    3.1e-07
    """
    m = n * (1 - decay) / (1 + decay) / (2 ** (min(hysteresis, 60) + 1) - 3)
    return min(1.0, (k - 1) * math.exp(-m * (led / n) ** 2 / 2))


def evidence(chosen: int, wins: list[int], samples: int, margin: float, decay: float, hysteresis: int) -> str:
    """One word: "none", "little", "too close to call", "some", "decided".

    Nothing was measured; fewer than ten steps; pays within 1 %; more, but not yet in a lead that luck would give in 5 %
    of runs of equal candidates; such a lead. Choices of the whole run count: "decided" is about a steady preference.

    >>> evidence(1, [2, 38], 40, 0.2, 0.0, 1), evidence(1, [18, 22], 40, 0.2, 0.0, 1)
    ('decided', 'some')
    """
    if samples < FEW:
        return "little" if samples else "none"
    if abs(margin) < CLOSE:
        return "too close to call"
    led = wins[chosen] - max(w for i, w in enumerate(wins) if i != chosen)
    sure = margin > 0 and led > 0 and luck(led, samples, len(wins), decay, hysteresis) <= RISK
    return "decided" if sure else "some"
