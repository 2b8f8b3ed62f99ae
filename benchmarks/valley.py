"""How often the rules that need a loss are wrong and right, on quadratics of which all is known.

python -m benchmarks.valley [runs] prints the table and writes it into docs/listen.md.

    loss(W) = <W, H W> / 2 + <noise, W>,    or of a batch of samples x, with H W = W E[x x^T]: mean_x |W x|^2 / 2 + ...

What the best step along a direction d really gains is <H W, d>^2 / (2 <d, H d>), and by how much lr is too high is
known, too.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean, median

import torch
from torch import Tensor, nn

import fallline
from benchmarks.listen import wilson
from benchmarks.table import ROOT, rewrite
from fallline.listen import Advice, Estimate, advised, curvature
from fallline.listen.counsel import TABLE, ceiling
from fallline.race.environment import environment

SIZE, STEPS, WINDOW, DRAWS = (24, 16), 96, 16, 8
FIRST = 1000  # the rules were mended while looking at seeds below it
LEVEL = 0.95
LEAST = next(row.least for row in TABLE if row.name == "spectral by curvature")
ASKED = ("euclid", "diagonal", "row", "spectral")  # of the families, by rules

Bend = Callable[[Tensor], Tensor]  # d -> H d


def turned(n: int, g: torch.Generator) -> Tensor:
    """A random rotation."""
    return torch.linalg.qr(torch.randn(n, n, generator=g))[0]


def spread(n: int, few: int, sharp: float = 30.0) -> Tensor:
    """A few eigenvalues that are sharp, and ones."""
    return torch.where(torch.arange(n) < few, sharp, 1.0)


def even(g: torch.Generator) -> Bend:
    """H = 1."""
    return lambda d: d


def coordinates(g: torch.Generator) -> Bend:
    """Six coordinates are sharp."""
    h = spread(384, 6)[torch.randperm(384, generator=g)].view(SIZE)
    return lambda d: h * d


def rotated(g: torch.Generator) -> Bend:
    """Six directions are, of no form."""
    q, h = turned(384, g), spread(384, 6)
    return lambda d: (q @ (h * (q.T @ d.flatten()))).view(SIZE)


def rows(g: torch.Generator) -> Bend:
    """A row is."""
    h = spread(24, 1)[torch.randperm(24, generator=g)][:, None]
    return lambda d: h * d


def halves(g: torch.Generator) -> Bend:
    """Half of the rows are a little sharper, so that rows of equal norm gain LEAST more, or less: hardest to tell."""
    h = spread(24, 12, 2.6)[:, None]
    return lambda d: h * d


def left(g: torch.Generator) -> Bend:
    """A direction of columns is."""
    q = turned(24, g)
    h = q * spread(24, 1) @ q.T
    return lambda d: h @ d


def both(g: torch.Generator) -> Bend:
    """Kronecker: a direction of columns and one of rows are."""
    q, one = turned(16, g), left(g)
    h = q * spread(16, 1) @ q.T
    return lambda d: one(d) @ h


@dataclass(frozen=True)
class Valley:
    """A problem, and the optimizer that walks it.

    noise: of the gradient, as a multiple of its RMS at the start. used: momentum. walk: lr while the ear hears; 0: it
    stays where it is. lr: then, as a multiple of the most that is stable; 0: as while it walked. batch: samples whose
    curvature differs, 0 for none (H is then that of `bend`). hope: families that win by much.
    """

    name: str
    bend: Callable[[torch.Generator], Bend]
    noise: float
    adam: bool = False
    used: float = 0.9
    walk: float = 0.0
    lr: float = 0.0
    batch: int = 0
    hope: tuple[str, ...] = ()


class Walk(nn.Module):
    """One run."""

    def __init__(self, valley: Valley, seed: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.hidden, self.out = nn.Linear(SIZE[1], SIZE[0], bias=False), nn.Linear(SIZE[0], 2).requires_grad_(False)
        self.hidden.weight.data.normal_(generator=g)
        self.valley, self.bend = valley, valley.bend(g)
        self.sizes = spread(SIZE[1], 1, 5.0).sqrt() if valley.batch else torch.ones(SIZE[1])
        self.noise = valley.noise * float(self.slope().square().mean().sqrt())

    def curved(self, d: Tensor) -> Tensor:
        """H d."""
        return self.bend(d) * self.sizes.square()

    def slope(self) -> Tensor:
        """H W."""
        return self.curved(self.hidden.weight.detach())

    def loss(self) -> Tensor:
        """Of a batch; it draws from torch's random numbers, as the batches of many scripts do."""
        w, noise = self.hidden.weight, self.noise * torch.randn(SIZE)
        if self.valley.batch:
            x = torch.randn(self.valley.batch, SIZE[1]) * self.sizes
            return (w @ x.T).square().sum() / (2 * self.valley.batch) + (noise * w).sum()
        return (w * self.bend(w)).sum() / 2 + (noise * w).sum()

    def gains(self, ways: list[Tensor]) -> dict[str, float]:
        """Of the best step along each family's direction; 0 where no step gains."""
        down = [(float((self.slope() * d).sum()), float((d * self.curved(d)).sum())) for d in ways]
        return {f: max(s, 0.0) ** 2 / (2 * b) for f, (s, b) in zip(curvature.FAMILIES, down, strict=True)}

    def most(self, v: Tensor) -> float:
        """The largest stable lr, with the second moment v: (1 + momentum) 2 / lambda, for Adam over 1 - momentum.

        Of batches that differ: lambda is their mean sharpness.
        """
        metric, cost = ("diagonal", v.sqrt()) if self.valley.adam else ("euclid", torch.ones(SIZE))
        bear = 2 * ceiling(metric, self.valley.used)
        if self.valley.batch:
            return bear / fmean(self.sharp() for _ in range(2000))
        x = torch.randn(SIZE)
        for _ in range(300):
            x = self.curved(x / x.norm()) / cost
        return bear / float(x.norm())

    def sharp(self) -> float:
        """<g, H g> / |g|^2 of a batch of samples."""
        x = torch.randn(self.valley.batch, SIZE[1]) * self.sizes
        h = x.T @ x / self.valley.batch
        g = self.hidden.weight.detach() @ h + self.noise * torch.randn(SIZE)
        return float((g @ h * g).sum() / g.square().sum())


@contextmanager
def kept() -> Iterator[list[dict[str, list[list[Tensor]]]]]:
    """The directions that curvature() makes."""
    made, way = [], curvature._ways
    curvature._ways = lambda *given: made.append(way(*given)) or made[-1]
    try:
        yield made
    finally:
        curvature._ways = way


@dataclass
class Tally:
    """Of a problem's runs: what was said rightly and wrongly, true leads, and whether intervals hold them.

    held: of all leads, at LEVEL; told: of those that are advised, at the level of the advice.
    """

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    best: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    told: list[bool] = field(default_factory=list)

    def judge(self, one: Advice, lead: dict[str, float], times: float) -> None:
        """Of lr: right if it is over what is stable, and then no more than twice off."""
        if one.change == "metric":
            true = lead[str(one.settings["metric"])]
            good, name = true >= LEAST, str(one.settings["metric"])
            if one.rule.endswith("curvature") and one.evidence is not None:
                self.told.append(one.evidence.holds(true))
        else:
            good, name = times > 1 and 0.5 <= float(one.settings["lr factor"]) * times <= 2, "lr"
        (self.right if good else self.wrong)[name if good else one.rule] += 1


def listened(valley: Valley, seed: int, tally: Tally) -> None:
    """One run: hear it, ask for advice, and compare it with what is true."""
    torch.manual_seed(seed)
    model = Walk(valley, seed)
    params = [model.hidden.weight]
    adam = torch.optim.AdamW(params, lr=valley.walk, betas=(valley.used, 0.99), weight_decay=0.0)
    opt = adam if valley.adam else torch.optim.SGD(params, lr=valley.walk, momentum=valley.used)
    with fallline.listen(model, window=WINDOW) as ear:
        for _ in range(STEPS):
            opt.zero_grad()
            model.loss().backward()
            opt.step()
    v = adam.state[params[0]]["exp_avg_sq"] / (1 - 0.99**STEPS) if valley.adam else torch.ones(SIZE)
    opt.param_groups[0]["lr"] = (valley.lr * model.most(v)) or valley.walk
    with kept() as made:
        sharp = [ear.sharpness(model.loss) for _ in range(DRAWS)]
        bent = ear.curvature(model.loss, DRAWS)
    gain, used = model.gains([one[0] for one in made[0]["hidden"]]), "diagonal" if valley.adam else "euclid"
    asked = [f for f in ASKED if f != used]
    lead = {f: gain[f] / gain[used] - 1 if gain[used] else math.inf if gain[f] else -1.0 for f in asked}
    tally.best.append(max(lead.values()))
    bars: dict[str, Estimate] = {f: bent.lead("hidden", f, used, LEVEL) for f in asked}
    tally.held += [bars[f].holds(lead[f]) for f in asked if gain[used] * gain[f] > 0 and math.isfinite(bars[f].value)]
    for one in advised(ear.estimates(parameters=False), LEVEL, sharp, bent).changes:
        if one.change in ("metric", "learning rate"):
            tally.judge(one, lead, valley.lr)


VALLEYS = (
    Valley("even", even, 0.1),
    Valley("even, noise 3", even, 3),
    Valley("even, noise 30", even, 30),
    Valley("even, at rest", even, 3, walk=0.01),
    Valley("even, on its way", even, 1, walk=0.0005),
    Valley("rotated", rotated, 0.1),
    Valley("rotated, noise 3", rotated, 3),
    Valley("coordinates, AdamW", coordinates, 0.1, adam=True),
    Valley("half of the rows", halves, 0.05),
    Valley("half of the rows, noise 1", halves, 1),
    Valley("batches of 16", even, 0.1, batch=16),
    Valley("batches of 4", even, 0.1, batch=4),
    Valley("coordinates", coordinates, 0.1, hope=("diagonal",)),
    Valley("coordinates, noise 1", coordinates, 1, hope=("diagonal",)),
    Valley("rows", rows, 0.1, hope=("row",)),
    Valley("left", left, 0.1, hope=("spectral",)),
    Valley("left, AdamW", left, 0.1, adam=True, hope=("spectral",)),
    Valley("both sides", both, 0.1, hope=("spectral",)),
    Valley("even, AdamW", even, 0.1, adam=True, hope=("euclid",)),
    Valley("even, lr .3 of the most", even, 1, lr=0.3),
    Valley("even, lr at the most", even, 1, lr=1),
    Valley("even, momentum 0, lr at the most", even, 1, used=0.0, lr=1),
    Valley("even, AdamW, noise 10, lr at the most", even, 10, adam=True, lr=1),
    Valley("batches of 4, momentum 0, lr at the most", even, 0.1, used=0.0, lr=1, batch=4),
    Valley("even, lr 3 times the most", even, 1, lr=3, hope=("lr",)),
    Valley("even, momentum 0, lr 3 times the most", even, 1, used=0.0, lr=3, hope=("lr",)),
    Valley("even, AdamW, noise 10, lr 3 times the most", even, 10, adam=True, lr=3, hope=("lr",)),
    Valley("batches of 4, momentum 0, lr 3 times the most", even, 0.1, used=0.0, lr=3, batch=4, hope=("lr",)),
    Valley("rows, noise .1, lr 3 times the most", rows, 0.1, lr=3, hope=("row", "lr")),
    Valley("left, noise 3, lr 3 times the most", left, 3, lr=3, hope=("lr",)),
)


def measured(valley: Valley, runs: int, first: int = FIRST) -> Tally:
    """All runs."""
    tally = Tally()
    for seed in range(first, first + runs):
        listened(valley, seed, tally)
    return tally


def line(valley: Valley, tally: Tally, runs: int) -> str:
    """A row of the table."""
    wrong = ", ".join(f"{name} {100 * n / runs:.0f} %" for name, n in tally.wrong.most_common()) or "none"
    names = dict.fromkeys((*valley.hope, *tally.right))
    right = ", ".join(f"{name} {100 * tally.right[name] / runs:.0f} %" for name in names)
    best = f"{100 * median(tally.best):+.0f} %" if math.isfinite(median(tally.best)) else "–"
    told = f"{sum(tally.told)} of {len(tally.told)}" if tally.told else ""
    return f"| {valley.name} | {best} | {wrong} | {right} | {wilson(tally.held)} | {told} |"


def table(runs: int, first: int = FIRST) -> str:
    """Of all problems."""
    lines = [f"{runs} runs a problem, {STEPS} steps, {DRAWS} draws, seeds from {first}.\n"]
    lines += ["| problem | true lead of the best | wrong advice | right advice | 95 % bars hold | told leads held |"]
    lines += ["|---|---|---|---|---|---|"]
    for valley in VALLEYS:
        lines.append(line(valley, measured(valley, runs, first), runs))
        print(lines[-1], flush=True)
    machine = environment()
    return "\n".join(lines) + f"\n\n(torch {machine['torch']}, Python {machine['python']}, {machine['cpu']}.)\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    rewrite("curvature", table(int(sys.argv[1]) if len(sys.argv) > 1 else 50), ROOT / "docs" / "listen.md")
