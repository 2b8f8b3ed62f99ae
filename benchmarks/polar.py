"""Compares ways to a polar factor with torch.optim.Muon's, and rewrites docs/polar.md and polar.json: make polar.

    python -m benchmarks.polar            # about five minutes on one core
    python -m benchmarks.polar --parts page

Times are the process's CPU time on one thread, since others may share the machine; all ways take turns, and a ratio is
that of one round. torch computes in bfloat16 whatever the CPU: where that is slow, one of its five equal steps is timed
and counted five times.
"""

import json
import os
import random
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from torch.optim import _muon
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.ledger import rounded
from benchmarks.page import fill, table
from fallline import Muon
from fallline.metrics.polar import (
    AOL,
    AUTO,
    QDWH,
    SVD,
    GramEigen,
    GramNewtonSchulz,
    GramQDWH,
    NewtonSchulz,
    Polar,
    SchattenStart,
)
from fallline.metrics.polar.auto import HALF, HALF_LONG, HALLEY, choose, fast_bfloat16
from fallline.race.environment import environment

ROOT = Path(__file__).parent.parent
PARTS = ("accuracy", "time", "step", "page")
KELLER = (3.4445, -4.7750, 2.0315)
TWIN = "Muon's own five steps"  # torch.optim.Muon's formula in float32: what the ratios are to
FOUR, EIGHT = SchattenStart(), SchattenStart(8)
WAYS: dict[str, Polar] = {
    TWIN: NewtonSchulz(),
    "You, 5": NewtonSchulz("you-5"),
    "You, 6": NewtonSchulz("you-6"),
    "Polar Express, 5": NewtonSchulz("polar-express", steps=5, safety=1.01),
    "Polar Express, 5, from Schatten-4": NewtonSchulz("polar-express", FOUR, 5, safety=1.01),
    "Polar Express, 5, from Schatten-8": NewtonSchulz("polar-express", EIGHT, 5, safety=1.01),
    "Polar Express, 5, Schatten-4, Gram form": GramNewtonSchulz("polar-express", FOUR, 5, safety=1.01),
    "Polar Express, 8": NewtonSchulz("polar-express", safety=1.01),
    "CANS, 5": NewtonSchulz("cans"),
    "cubic-5": NewtonSchulz("cubic-5"),
    "DeepSeek, 10": NewtonSchulz("deepseek-10"),
    "Turbo-Muon, 4, from AOL": NewtonSchulz("turbo", AOL()),
    "quintic, 5": NewtonSchulz("quintic"),
    "eigenvalues of the Gram matrix": GramEigen(),
    "Halley, 2 steps": HALLEY,
    "Halley, 2 steps, Gram form": GramQDWH(),
    "Halley until exact (QDWH)": QDWH(),
    "SVD": SVD(),
    "the default, `AUTO`": AUTO,
}
NARROW: dict[str, Polar] = {
    "Muon's own, bfloat16": NewtonSchulz(dtype=torch.bfloat16),
    "Polar Express, 5, Schatten-4, bfloat16": HALF,
    "the same in Gram form, rebuilt every 2 steps": HALF_LONG,
    "the same, never rebuilt": GramNewtonSchulz("polar-express", FOUR, 5, 1.02, torch.bfloat16),
}
ACCURACY, TIMED = ((768, 768), (768, 3072)), ((768, 768), (768, 3072), (1024, 4096))
SMALL = (192, 768)  # where bfloat16 is looked at: a CPU without tiles for it takes minutes for more
LAYER, LAYERS = ((2304, 768), (768, 768), (3072, 768), (768, 3072)), 4  # of twelve, which are equal
say = partial(print, file=sys.stderr, flush=True)
Record = dict[str, Any]


def name(shape: tuple[int, ...]) -> str:
    """768 x 3072."""
    return " × ".join(map(str, shape))


def samples(shape: tuple[int, int]) -> dict[str, Tensor]:
    """A Gaussian matrix, and one of rank 8 with noise of a hundredth of its length: momenta look like the second."""
    source = torch.Generator().manual_seed(0)
    (m, n), draw = shape, partial(torch.randn, generator=source)
    low, noise = draw(m, 8) @ draw(8, n), draw(m, n)
    return {"Gaussian": draw(m, n), "spiked": low + noise * (0.1 * low.norm() / noise.norm())}


def accuracy(ways: dict[str, Polar], shape: tuple[int, int]) -> list[Record]:
    """Relative error to the exact factor, and the smallest and largest singular value of what comes out."""
    made = []
    for kind, x in samples(shape).items():
        exact = SVD()(x.double())
        for way, polar in ways.items():
            y = polar(x).double()
            gram = y @ y.mT if shape[0] <= shape[1] else y.mT @ y
            s = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
            error = float((y - exact).norm() / exact.norm())
            made.append({"way": way, "shape": name(shape), "matrix": kind, "error": error, "low": float(s[0])})
            made[-1]["high"] = float(s[-1])
    return made


def flops(polar: Polar, shape: tuple[int, int]) -> float:
    """Of the products as torch counts them, and of decompositions by their usual formulas."""
    counter, (r, long) = FlopCounterMode(display=False), sorted(shape)
    with counter:
        polar(torch.empty(shape, device="meta") if polar != AUTO else torch.ones(shape))
    polar = AUTO.choice(torch.empty(shape)) if polar == AUTO else polar
    known = {SVD: 6 * r**2 * long + 20 * r**3, GramEigen: 9 * r**3}
    steps = {HALLEY: 2, GramQDWH(): 2}.get(polar, 0)  # a Cholesky factor and an inverse from it: r^3 together
    qr = 2 * (4 * r**2 * (long + r) - 4 * r**3 / 3) + 3 * r**3 if polar == QDWH() else 0  # two by QR, three by Cholesky
    return counter.get_total_flops() + known.get(type(polar), 0) + steps * r**3 + qr


def seconds(f: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    f()
    return time.process_time() - start


def turns(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Every job once in each round, in shuffled order, after one that does not count."""
    source, found = random.Random(0), {key: [] for key in jobs}
    for turn in range(rounds + 1):
        for key in source.sample(sorted(jobs), len(jobs)):
            spent = seconds(jobs[key])
            if turn:
                found[key].append(spent)
    return found


def theirs(shape: tuple[int, int]) -> float:
    """Seconds of torch's own factor, in bfloat16: five times one of its five steps."""
    x = torch.randn(shape)
    return 5 * seconds(lambda: _muon._zeropower_via_newtonschulz(x, KELLER, 1, 1e-7))


def times(shape: tuple[int, int], rounds: int) -> list[Record]:
    """Ratios to the twin in the same round."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = turns({way: partial(polar, x) for way, polar in WAYS.items()}, rounds)
    base, count = found[TWIN], flops(WAYS[TWIN], shape)
    made = [
        {
            "way": way,
            "shape": name(shape),
            "ratio": median(a / b for a, b in zip(spent, base, strict=True)),
            "flops": flops(WAYS[way], shape) / count,
        }
        for way, spent in found.items()
    ]
    return [*made, {"way": "torch", "shape": name(shape), "ratio": theirs(shape) / median(base), "flops": 1.0}]


def single(x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """torch's factor with the narrow dtype left out."""
    return NewtonSchulz((coefficients,) * steps)(x)


def step(shapes: list[tuple[int, int]], rounds: int) -> list[Record]:
    """A whole step of ours over one of torch.optim.Muon's whose factor is the twin; and what its own would take."""
    params = [torch.nn.Parameter(torch.randn(shape) * 0.02) for shape in shapes]
    for p in params:
        p.grad = torch.randn(p.shape)
    ours = {"ours": Muon(params, lr=1e-4, roles="by shape"), "ours, Muon's own five steps": None}
    ours["ours, Muon's own five steps"] = Muon(params, lr=1e-4, roles="by shape", polar=NewtonSchulz(pile=False))
    torchs, own = torch.optim.Muon(params, lr=1e-4), _muon._zeropower_via_newtonschulz
    _muon._zeropower_via_newtonschulz = single
    try:
        found = turns({key: opt.step for key, opt in {**ours, "torch": torchs}.items() if opt}, rounds)
        _muon._zeropower_via_newtonschulz = lambda x, *_: x
        rest = min(seconds(torchs.step) for _ in range(2))  # what torch does beside the factors
    finally:
        _muon._zeropower_via_newtonschulz = own
    factors = sum(theirs(shape) * shapes.count(shape) for shape in sorted(set(shapes)))
    base, numel = found["torch"], sum(p.numel() for p in params)
    ratios = {key: median(a / b for a, b in zip(spent, base, strict=True)) for key, spent in found.items()}
    made = [{"way": key, "ratio": ratio, "matrices": len(shapes), "numbers": numel} for key, ratio in ratios.items()]
    narrow = {"way": "torch, bfloat16", "ratio": (rest + factors) / median(base), "matrices": len(shapes)}
    return [*made, narrow | {"numbers": numel}]


# --- the page ---------------------------------------------------------------------------------------------------------


def accuracies(found: list[Record]) -> str:
    """Error and band, a row for each way."""
    places = list(dict.fromkeys((one["shape"], one["matrix"]) for one in found))
    cells = {(one["way"], one["shape"], one["matrix"]): one for one in found}
    body = [
        [way, *(f"{c['error']:.2g} [{c['low']:.2f}, {c['high']:.2f}]" for c in (cells[(way, *at)] for at in places))]
        for way in dict.fromkeys(one["way"] for one in found)
    ]
    return table(["error [band]", *(f"{kind}, {shape}" for shape, kind in places)], body)


def ratios(found: list[Record]) -> str:
    """Time and flops, a row for each way."""
    shapes = list(dict.fromkeys(one["shape"] for one in found))
    cells = {(one["way"], one["shape"]): one for one in found}
    label = {"torch": "torch.optim.Muon's, bfloat16"}
    body = [
        [label.get(way, way), *(f"{cells[way, s]['ratio']:.2f} ({cells[way, s]['flops']:.2f})" for s in shapes)]
        for way in dict.fromkeys(one["way"] for one in found)
    ]
    return table(["time (flops)", *shapes], body)


def steps(found: list[Record]) -> str:
    """Whole steps."""
    label = {"torch": "torch.optim.Muon, its formula in float32", "torch, bfloat16": "torch.optim.Muon as it is"}
    label["ours"] = "`Muon`, the default"
    body = [[label.get(one["way"], one["way"]), f"{one['ratio']:.2f}"] for one in found]
    return table([f"{found[0]['matrices']} matrices, {found[0]['numbers'] / 1e6:.0f} M numbers", "time"], body)


def choices() -> str:
    """What `choose` says."""
    where = {"CPU": ("cpu", False), "CPU with AMX": ("cpu", True), "GPU since Ampere": ("cuda", True)}
    where["older GPU"] = ("cuda", False)
    shapes = ((1, 768), (64, 64), (768, 768), (768, 3072))
    body = [[key, *(f"`{choose(device, False, *s, fast)}`" for s in shapes)] for key, (device, fast) in where.items()]
    return table(["", *map(name, shapes)], body)


def machine(told: Record) -> str:
    """On what, and when."""
    e = told["environment"]
    fast = "with" if told["bfloat16"] else "without"
    return (
        f"`{told['command']}`, {told['when']}, {told['rounds']} rounds, one thread, load before {told['load']:.1f}: "
        f"{e['cpu']} {fast} bfloat16 tiles, {told['capability']}, torch {e['torch']}, Python {e['python']}."
        f"{' ' + told['note'] if told['note'] else ''}\n"
    )


def draw(told: Record, out: Path) -> None:
    """Fill the page; what it says by hand stays."""
    text = (ROOT / "docs" / "polar.md").read_text(encoding="utf-8")
    parts = {"machine": machine(told["machine"]), "accuracy": accuracies(told["accuracy"])}
    parts |= {"narrow": accuracies(told["narrow"]), "time": ratios(told["time"]), "step": steps(told["step"])}
    for key, body in (parts | {"choices": choices()}).items():
        text = fill(text, key, body)
    out.write_text(text, encoding="utf-8")


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the timings.")] = 2,
    parts: Annotated[str, typer.Option(help="What to do, separated by commas.")] = ",".join(PARTS),
    note: Annotated[str, typer.Option(help="A word for the page about this run.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Tiny matrices, to see that it runs: no figures.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of polar.md and polar.json.")] = ROOT / "docs",
) -> None:
    """Compare ways to a polar factor."""
    if quick and out == ROOT / "docs":
        raise typer.BadParameter("--quick measures nothing; give it an --out of its own")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    less = (lambda shape: (shape[0] // 32, shape[1] // 32)) if quick else (lambda shape: shape)
    file = out / "polar.json"
    told: Record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    typed = shlex.join(["python", "-m", "benchmarks.polar", *(w for w in sys.argv[1:] if not w.startswith("/"))])
    if set(parts.split(",")) - {"page"}:
        told["machine"] = {"command": typed, "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
        told["machine"] |= {"rounds": rounds, "load": os.getloadavg()[0], "environment": environment(), "note": note}
        told["machine"] |= {"bfloat16": fast_bfloat16(torch.device("cpu"))}
        told["machine"] |= {"capability": torch.backends.cpu.get_cpu_capability()}
    if "accuracy" in parts:
        told["accuracy"] = [one for shape in ACCURACY for one in accuracy(WAYS, less(shape))]
        told["narrow"] = accuracy({TWIN: WAYS[TWIN], **NARROW}, less(SMALL))
        say("accuracy done")
    if "time" in parts:
        told["time"] = [one for shape in TIMED for one in times(less(shape), rounds)]
        say("time done")
    if "step" in parts:
        told["step"] = step([less(shape) for shape in LAYER] * (2 if quick else LAYERS), rounds)
    file.write_text(json.dumps(rounded(told), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(told, out / "polar.md")


if __name__ == "__main__":
    typer.run(main)
