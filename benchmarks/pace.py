"""Times steps on one list of tensors, in one process: in every round all of a group step, in shuffled order."""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from benchmarks.contender import ROWS, groups
from benchmarks.row import Row
from benchmarks.shape import LISTS, Shapes

Record = dict[str, Any]
Numbers = tuple[list[Tensor], list[Tensor]]
Times = list[dict[str, float]]  # seconds per step of every contender, round by round, and the two below

OTHERS, AGAIN = "others", "again"  # share of the machine that others used in a round; how often it was made again
WARM = 3  # steps before anything is timed
QUIET = 0.97  # share of the wall time that a repetition on one thread must have had the core
LOUD = 0.05  # share of the machine that others may use in a round on more threads
RETRIES = 3


def weights(shapes: Shapes, seed: int = 0) -> Numbers:
    """Weights and gradients, normal; all contenders of a process walk on these same numbers."""
    source = torch.Generator().manual_seed(seed)
    params = [torch.empty(s).normal_(0, 0.02, generator=source) for s in shapes.shapes]
    return params, [torch.empty(s).normal_(0, 0.01, generator=source) for s in shapes.shapes]


class Lane:
    """A contender on its own parameters, which share their numbers with the others', to spare memory."""

    def __init__(self, row: Row, params: list[Tensor], grads: list[Tensor]) -> None:
        self.row, self.grads = row, grads
        self.params = [Parameter(p) for p in params]
        self.opt = row.build(self.params)
        self.step = row.run(self.opt, self.params)
        self.retries = 0
        for _ in range(WARM):
            self.once()

    def once(self) -> tuple[float, float]:
        """CPU seconds of the process and wall seconds of one step on new gradient tensors, as backward leaves them."""
        for p, g in zip(self.params, self.grads, strict=True):
            p.grad = g.detach()
        cpu, wall = time.process_time(), time.perf_counter()
        self.step()
        return time.process_time() - cpu, time.perf_counter() - wall

    def seconds(self, steps: int, threads: int) -> float:
        """Per step: on one thread CPU time, again where others had the core; on more threads wall time."""
        for attempt in range(RETRIES + 1):
            cpu, wall = map(sum, zip(*(self.once() for _ in range(steps)), strict=True))
            if threads > 1 or cpu >= QUIET * wall:
                break
            self.retries += attempt < RETRIES
        return (wall if threads > 1 else cpu) / steps


def state_bytes(opt: Any, params: list[Tensor]) -> int:
    """Bytes that an optimizer remembers: ours says so; of others every storage in the state but the parameters'."""
    if hasattr(opt, "state_bytes"):
        return int(opt.state_bytes())
    own = {p.untyped_storage().data_ptr() for p in params}
    found = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in tensors(opt.state)}
    return sum(size for place, size in found.items() if place not in own)


def tensors(x: Any) -> Iterator[Tensor]:
    """All tensors in nested dicts and lists."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, dict | list | tuple):
        for one in x.values() if isinstance(x, dict) else x:
            yield from tensors(one)


def spread(values: list[float]) -> Record:
    """Median and quartiles."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": median(values), "low": low, "high": high}


def enter(row: Row, params: list[Tensor], grads: list[Tensor]) -> Lane | Record:
    """A warm contender, or why there is none."""
    try:
        return Lane(row, params, grads)
    except Exception as error:  # what fails is a line of the table, not the end of it
        return {"row": row.name, "error": f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"}


def busy() -> float:
    """CPU seconds that all others have used of this machine so far, and its host of it; 0 where that is unknown."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()


def once(lanes: list[Lane], steps: int, threads: int) -> tuple[dict[str, float], float]:
    """A round: everyone's seconds per step, and the share of the machine that others used meanwhile."""
    others, start = busy(), time.perf_counter()
    seconds = {lane.row.name: lane.seconds(steps, threads) for lane in lanes}
    return seconds, (busy() - others) / (time.perf_counter() - start) / (os.cpu_count() or 1)


def calm(lanes: list[Lane], steps: int, threads: int, end: float) -> dict[str, float]:
    """A round; on more than one thread again while others are loud, for their work would be in our wall time."""
    again, (seconds, others) = 0, once(lanes, steps, threads)
    while threads > 1 and others > LOUD and again < RETRIES and time.perf_counter() < end:
        again, (seconds, others) = again + 1, once(lanes, steps, threads)
    return {**seconds, OTHERS: others, AGAIN: again}


def race(lanes: list[Lane], job: Record, order: random.Random) -> tuple[Times, int]:
    """Rounds until there are enough, or until the time is up and there are `least` of them; and the steps in each."""
    steps = max(1, round(job["stretch"] / min(lanes[0].once()[1] for _ in range(3))))
    times: Times = []
    end = time.perf_counter() + job["limit"] * len(lanes)
    while len(times) < (job["rounds"] if time.perf_counter() < end else job["least"]):
        gc.collect()
        times.append(calm(order.sample(lanes, len(lanes)), steps, job["threads"], end))
    return times, steps


def summary(lane: Lane, base: Lane, times: Times, shapes: Shapes) -> Record:
    """What is known of a contender after the race."""
    row = lane.row
    mine = [one[row.name] for one in times]
    ratios = [one[row.name] / one[base.row.name] for one in times]
    second = [one[row.name] / one[row.against] for one in times if row.against in one]
    return {
        "row": row.name,
        "baseline": base.row.name,
        "seconds": median(mine),
        "baseline_seconds": median(one[base.row.name] for one in times),
        "ratio": spread(ratios),
        "second": {"to": row.against, **spread(second)} if second else None,
        "ns_per_parameter": median(mine) / shapes.numel * 1e9,
        "us_per_tensor": median(mine) / len(shapes.shapes) * 1e6,
        "bytes_per_parameter": state_bytes(lane.opt, lane.params) / shapes.numel,
        "rounds": len(times),
        "retries": lane.retries + sum(one[AGAIN] for one in times),
        "others": median(one[OTHERS] for one in times),
    }


def group(rows: list[Row], numbers: Numbers, shapes: Shapes, job: Record) -> list[Record]:
    """Time a group, the first row of which is the baseline."""
    entered = [enter(row, *numbers) for row in rows]
    failed = [one for one in entered if not isinstance(one, Lane)]
    lanes = [one for one in entered if isinstance(one, Lane)]
    if not lanes or lanes[0].row is not rows[0]:
        raise RuntimeError(f"torch's own fused optimizer does not run here: {failed[0]['error']}")
    gc.disable()
    times, steps = race(lanes, job, random.Random(job["seed"]))
    gc.enable()
    done = [summary(lane, lanes[0], times, shapes) for lane in lanes]
    return [{"list": job["list"], "threads": job["threads"], "steps": steps, **one} for one in (*done, *failed)]


def main(job: Record) -> None:
    """Time what the job names; the records go to its `out`."""
    torch.set_num_threads(job["threads"])
    shapes = LISTS[job["list"]].tiny() if job["tiny"] else LISTS[job["list"]]
    rows = [ROWS[name] for name in job["rows"]]
    records: list[Record] = []
    numbers = weights(shapes, job["seed"])
    for base, members in groups(rows, shapes.numel):
        fresh = group([base, *members], numbers, shapes, job)
        for one in fresh[1:]:
            said = one.get("error") or "{median:.3f} [{low:.3f}, {high:.3f}]".format(**one["ratio"])
            print(f"{job['list']} x{job['threads']} {one['row']}: {said}", file=sys.stderr, flush=True)
        records += fresh
        Path(job["out"]).write_text(json.dumps({"records": records, "load": os.getloadavg()}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
