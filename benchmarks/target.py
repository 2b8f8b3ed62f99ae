"""What the library promises of its speed, and what was measured of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.ledger import Ledger
from benchmarks.shape import LISTS

# As a multiple of torch's fused optimizer: limits on GPT-2, ResNet-50 and the 400 tensors.
LIMITS = {"auto": (1.00, 0.98, 0.80), "fixed": (0.98, 0.96, 0.70)}
ON = ("gpt2", "resnet50", "lora")
PAPER, MANY, STATE, IMPORT, BUILD = 2.5, 1.05, 2.05, 0.25, 0.020
COLUMNS = [("-ignore", 1), ("-ignore", 2), ("", 1), ("", 2)]
HEAD = ["promise", "limit", "ignore, 1 thread", "ignore, 2 threads", "default, 1 thread", "default, 2 threads"]


def judged(value: float | None, limit: float, form: str = ".3f") -> str:
    """The number; bold where it breaks the promise."""
    if value is None:
        return "–"
    return f"{value:{form}}" if value <= limit else f"**{value:{form}}**"


def timed(ledger: Ledger, row: str, name: str, what: str = "ratio") -> list[float | None]:
    """Medians in the order of COLUMNS."""
    found = [ledger.find("steps", list=name, threads=n, row=row + policy) for policy, n in COLUMNS]
    return [one[what]["median"] if one and one.get(what) else None for one in found]


def line(text: str, limit: float, values: list[Any], form: str = ".3f") -> list[str]:
    """One promise."""
    return [text, f"{limit:g}", *(judged(value, limit, form) for value in values)]


def promises(ledger: Ledger) -> Iterator[list[str]]:
    """Promises about the time of a step."""
    for family, title in (("adamw", "AdamW"), ("sgd", "SGD")):
        for mode, limits in LIMITS.items():
            for name, limit in zip(ON, limits, strict=True):
                yield line(f"{title}, {mode}, {LISTS[name].title}", limit, timed(ledger, f"{family}-{mode}", name))
        for name in ON:
            full = timed(ledger, f"{family}-full-3", name)
            yield line(f"{title}, full bank of 3, {LISTS[name].title}", PAPER, full)
        for name in ON:
            many = timed(ledger, f"{family}-auto-16", name, "second")
            yield line(f"{title}, auto of 16 over auto of 2, {LISTS[name].title}", MANY, many)


def others(ledger: Ledger) -> Iterator[list[str]]:
    """Promises about memory, import and building; they do not depend on threads."""
    for name in ON:
        found = [ledger.find("steps", list=name, threads=1, row=f"adamw-auto{policy}") for policy in ("-ignore", "")]
        floats = [one["bytes_per_parameter"] / 4 if one and "error" not in one else None for one in found]
        text = f"AdamW, auto: floats of state a parameter, {LISTS[name].title}"
        yield line(text, STATE, [floats[0], None, floats[1], None])
    brought = ledger.find("imports", package="fallline")
    yield line("`import fallline` after torch, s", IMPORT, [None, None, brought and brought["seconds"], None])
    found = [ledger.find("starts", list="many", row=f"adamw-auto{policy}") for policy in ("-ignore", "")]
    built = [one and one["built_again"] for one in found]
    yield line("building for 1600 tensors, s", BUILD, [built[0], None, built[1], None])


def targets(ledger: Ledger) -> tuple[list[str], list[list[str]]]:
    """Head and body of the table."""
    return HEAD, [*promises(ledger), *others(ledger)]
