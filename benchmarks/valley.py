"""How often the rules that need a loss are wrong and right, on quadratics of which all is known (quadratic.py).

python -m benchmarks.valley [runs] prints the table and writes it into docs/listen.md.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor

import fallline
from benchmarks.listen import wilson
from benchmarks.quadratic import SIZE, VALLEYS, Valley, Walk
from benchmarks.table import ROOT, grown, rewrite
from fallline.listen import Advice, Estimate, advised, curvature
from fallline.listen.counsel import TABLE

STEPS, WINDOW, DRAWS = 96, 16, 8
FIRST = 1000  # the rules were mended while looking at seeds below it
LEVEL = 0.95
LEAST = next(row.least for row in TABLE if row.name == "spectral by curvature")
ASKED = ("euclid", "diagonal", "row", "spectral")  # of the families, by rules


@contextmanager
def kept() -> Iterator[list[dict[str, list[list[Tensor]]]]]:
    """The directions that curvature() makes."""
    made, way = list[dict[str, list[list[Tensor]]]](), curvature._ways

    def ways(*given: Any) -> dict[str, list[list[Tensor]]]:
        made.append(way(*given))
        return made[-1]

    curvature._ways = ways
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
    head = [f"{runs} runs a problem, {STEPS} steps, {DRAWS} draws, seeds from {first}.\n"]
    head += ["| problem | true lead of the best | wrong advice | right advice | 95 % bars hold | told leads held |"]
    head += ["|---|---|---|---|---|---|"]
    return grown(head, (line(valley, measured(valley, runs, first), runs) for valley in VALLEYS))


if __name__ == "__main__":
    torch.set_num_threads(1)
    rewrite("curvature", table(int(sys.argv[1]) if len(sys.argv) > 1 else 50), ROOT / "docs" / "listen.md")
