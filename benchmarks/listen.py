"""The ear's truth: streams of known statistics injected into a model, and how often error bars hold the truth.

python -m benchmarks.listen truth [runs] prints the table and writes it into docs/listen/truth.md; `looks [runs]` does
the same of what is told of whole matrices, `alarms [runs]` of alarms, and without a word it prints the cost. p.grad is
set by hand before each step of an optimizer that the ear hears.
"""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Mapping, Sequence

import torch

from benchmarks import hearing_cost, matrix
from benchmarks.startle import alarms
from benchmarks.stream import Stream, records
from benchmarks.table import ROOT, rewrite
from benchmarks.truth import READ, Read, truth
from fallline.listen import Heard, Reading, Record
from fallline.listen import heard as hearing

PAGE = ROOT / "docs" / "listen" / "truth.md"
STEPS, WINDOW, FIRST = 200, 32, 1000  # the method's constants were chosen on seeds below FIRST
SETTINGS = ((200, 32), (1000, 64))

STREAMS = (
    Stream("white", 1, 0, 0.0),
    Stream("AR .9", 0, 1, 0.9),
    Stream("AR -.4", 0, 1, -0.4),
    Stream("1 + 1, .9", 1, 1, 0.9),
    Stream("1 + .2, .9", 1, 0.2, 0.9),
    Stream("8 numbers", 1, 0.2, 0.9, ranks=8),
    Stream("sampled", 1, 0.2, 0.9, size=(512, 400), spread=1.0),
    Stream("slow", 1, 1, 0.99),
    Stream("tails", 1, 0.2, 0.9, tail=4),
    Stream("falling", 1, 0.2, 0.9, fall=0.1),
    Stream("scales", 1, 0.2, 0.9, spread=1.0),
    Stream("parts", 1, 0.2, 0.9, parts=4),
)


def listen(stream: Stream, seed: int, steps: int = STEPS, level: float = 0.95) -> Heard:
    """What an ear hears of a stream."""
    return hearing(records(stream, [seed], steps, WINDOW)[0], level, parameters=False)


def read(heard: Sequence[Record], level: float = 0.95) -> list[Reading]:
    """Of each run."""
    return [hearing(record, level, parameters=False).total for record in heard]


def held(stream: Stream, readings: Sequence[Reading], steps: int, window: int) -> dict[str, list[bool]]:
    """For each estimate and each run whether the interval holds the truth; nothing where there is no truth."""
    return covered(truth(stream, steps, window), readings, READ)


def covered(true: dict[str, float], readings: Sequence[Reading], read: Mapping[str, Read]) -> dict[str, list[bool]]:
    """The same, where the truth is known."""
    found = {}
    for name, of in read.items():
        bars = [bar for one in readings if (bar := of(one)) is not None]
        slack = 1e-9 * abs(true[name]) if math.isfinite(true[name]) else 0.0
        known = bars if true[name] == true[name] else []
        found[name] = [bar.low <= true[name] + slack and true[name] - slack <= bar.high for bar in known]
    return found


def coverage(stream: Stream, runs: int, first: int = 0) -> dict[str, float]:
    """The share of runs."""
    readings = read(records(stream, range(first, first + runs), STEPS, WINDOW))
    return {name: sum(said) / len(said) for name, said in held(stream, readings, STEPS, WINDOW).items() if said}


def wilson(said: Sequence[bool]) -> str:
    """Share in percent, and Wilson's 95 % interval of it.

    >>> wilson([True] * 19 + [False])
    '95 (76-99)'
    """
    if not said:
        return "–"
    n, p, z = len(said), sum(said) / len(said), 1.96
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((mid + side * half) / (1 + z * z / n) for side in (-1, 1))
    return f"{100 * p:.0f} ({100 * low:.0f}-{100 * high:.0f})"


def page(told: dict[str, dict[str, list[bool]]], setting: str, first: int) -> str:
    """The table of a setting."""
    counts = ", ".join(f"{name} {max(map(len, said.values()))}" for name, said in told.items())
    title = f"{setting}, seeds from {first}; runs: {counts}.\n\n"
    names = next(iter(told.values()))
    rows = [f"| {name} | " + " | ".join(wilson(said[name]) for said in told.values()) + " |" for name in names]
    top = f"| estimate | {' | '.join(told)} |\n|---|{'---|' * len(told)}\n"
    where = f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, one thread"
    return f"{title}{top}" + "\n".join(rows) + f"\n\n({where}.)\n"


def prove(runs: int, first: int = FIRST) -> None:
    """Measure every setting, print, and write the page anew."""
    for steps, window in SETTINGS:
        told = {}
        for stream in STREAMS:
            heard = records(stream, range(first, first + runs), steps, window)
            told[stream.name] = held(stream, read(heard), steps, window)
        write(f"truth {steps}", page(told, f"{steps} steps, window {window}", first))


def look(runs: int, first: int = FIRST) -> None:
    """The same of looks at whole matrices."""
    for steps, window in SETTINGS:
        told = {}
        for form in matrix.FORMS:
            heard = matrix.records(form, range(first, first + runs), steps, window)
            told[form.name] = covered(matrix.truth(form, steps), read(heard), matrix.SEEN)
        write(f"looks {steps}", page(told, f"{steps} steps, window {window}", first))


def write(table: str, body: str) -> None:
    """Print, and write a table of the page anew."""
    print(body, flush=True)
    rewrite(table, body, PAGE)


def main(words: list[str]) -> None:
    """Do what is asked for."""
    runs = int(words[1]) if len(words) > 1 else 200
    if words[:1] == ["truth"]:
        prove(runs)
    elif words[:1] == ["looks"]:
        look(runs)
    elif words[:1] == ["alarms"]:
        write("alarms", alarms(runs))
    else:
        hearing_cost.main()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
