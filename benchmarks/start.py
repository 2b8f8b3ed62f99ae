"""A first step in a fresh process: building the optimizer, the first step and later ones, in wall seconds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn import Parameter

from benchmarks.contender import ROWS
from benchmarks.pace import weights
from benchmarks.shape import LISTS


def timed(f: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of a call, and what it gave."""
    start = time.perf_counter()
    result = f()
    return time.perf_counter() - start, result


def main(job: dict[str, Any]) -> None:
    """Build and step once, cold; then step and build again, warm. Importing comes before and does not count."""
    torch.set_num_threads(job["threads"])
    row, shapes = ROWS[job["row"]], LISTS[job["list"]]
    import_module(row.package)
    values, grads = weights(shapes.tiny() if job["tiny"] else shapes)
    params = [Parameter(p) for p in values]
    built, opt = timed(lambda: row.build(params))
    step = row.run(opt, params)
    seconds = []
    for _ in range(3):
        for p, g in zip(params, grads, strict=True):
            p.grad = g.detach()
        seconds.append(timed(step)[0])
    again = median(timed(lambda: row.build(params))[0] for _ in range(5))
    found = {"built": built, "first": seconds[0], "second": seconds[1], "third": seconds[2], "built_again": again}
    Path(job["out"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
