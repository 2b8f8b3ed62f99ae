"""Word: numbers and their intervals as text, the same in the terminal and on the page."""

from __future__ import annotations

import math
import re

from .estimate import Estimate

UNKNOWN = "unknown"
HUGE = 1e15  # a quotient by next to nothing: infinite, for a person
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(x: float | None) -> str:
    """Three digits, in plain letters.

    >>> [number(x) for x in (0.12345, 26122.0, 1e7, 2e-5, -math.inf, math.nan, 0.0)]
    ['0.123', '26,122', '1e+07', '2e-05', '-inf', 'unknown', '0']
    """
    if x is None or math.isnan(x):
        return UNKNOWN
    if abs(x) > HUGE:
        return "inf" if x > 0 else "-inf"
    if 1000 <= abs(x) < 1e6:
        return f"{x:,.0f}"
    return f"{x:.3g}" if not 1e-3 > abs(x) > 0 else f"{x:.2g}"


def setting(x: float | str) -> str:
    """What is to be set, as exactly as it was advised.

    >>> setting(0.9946), setting(8.0), setting("spectral")
    ('0.9946', '8', 'spectral')
    """
    return x if isinstance(x, str) else f"{x:g}"


def share(x: float | None) -> str:
    """A part of one as a percentage.

    >>> share(0.158), share(0.999), share(math.nan)
    ('15.8 %', '99.9 %', 'unknown')
    """
    return UNKNOWN if x is None or math.isnan(x) else f"{number(100 * x)} %"


def interval(e: Estimate) -> str:
    """Where the true value is; "no error bar" where nothing is known of that.

    >>> interval(Estimate(2.0, 1.5, math.inf, 0.95)), interval(Estimate(2.0, -math.inf, math.inf, 0.95))
    ('1.5 to inf', 'no error bar')
    """
    open_ended = math.isinf(e.low) and math.isinf(e.high) and e.low < e.high
    return "no error bar" if open_ended or math.isnan(e.low + e.high) else f"{number(e.low)} to {number(e.high)}"


def said(e: Estimate | None) -> str:
    """A number and its interval in a sentence.

    >>> said(Estimate(2.0, 1.5, 3.0, 0.95)), said(None)
    ('2 (1.5 to 3)', 'unknown')
    """
    return UNKNOWN if e is None or math.isnan(e.value) else f"{number(e.value)} ({interval(e)})"


def size(count: int) -> str:
    """Bytes, for a person.

    >>> size(946896), size(12)
    ('925 KiB', '12 bytes')
    """
    for unit, one in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= one:
            return f"{number(count / one)} {unit}"
    return f"{count} bytes"


def more(margin: Estimate | None) -> str:
    """A margin over the momentum in use, for the end of a sentence.

    >>> more(Estimate(0.25, 0.1, 0.3, 0.95)), more(Estimate(1e300, 0.0, math.inf, 0.95)), more(None)
    (', 25 % more than the momentum in use', ', where the momentum in use earns next to nothing', '')
    """
    if margin is None or math.isnan(margin.value):
        return ""
    if margin.value > 100:
        return ", where the momentum in use earns next to nothing"
    return f", {share(margin.value)} more than the momentum in use"


def many(count: int, thing: str) -> str:
    """
    >>> many(1, "tensor"), many(26122, "parameter")
    ('1 tensor', '26,122 parameters')
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def pretty(text: str) -> str:
    """Plain letters of numbers as print has them: for the page, not for terminals of few letters.

    >>> pretty("-2e-05 to inf; AdamW-like")
    '−2×10⁻⁵ to ∞; AdamW-like'
    """
    text = re.sub(r"(?<=\d)e\+?(-?)0*(\d+)\b", lambda m: "×10" + (m[1] + m[2]).translate(RAISED), text)
    text = re.sub(r"(?<=[\d∞]) (?=%)", "\u00a0", text)  # no new line between a number and its %
    return re.sub(r"(?<![\w-])-(?=[\d∞])", "−", re.sub(r"\binf\b", "∞", text))
