"""How far a Probe's sample is from the full bank: alignments, pays and choices on real gradients, against float64.

A network of the race is trained by the full bank. Beside it, in float64 and for every candidate, run the averages m_k
of its gradients; a step's exact alignments <g, D^-1 m_k> are sums over all coordinates. The sampled ones are sums over
`sample(...)` of every tensor, times numel / sample size. Pay is alignment / sqrt(power), with the exact power but for
its mean of 1 / D, which a Probe too takes from its sample. The first step is left out: all pays are equal there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

import fallline
from benchmarks.pace import spread
from fallline.race.registry import WORKLOADS
from fallline.statistics.response import gram
from fallline.statistics.sample import sample

BANK = (0.5, 0.9, 0.99)
SQUARES, EPS, SMOOTHING = 0.999, 1e-8, 0.9
SEEDS = (0, 1, 2)
Record = dict[str, Any]


@dataclass(frozen=True)
class Course:
    """A training run: workload, optimizer, learning rate, steps, and the steps that end its stages."""

    workload: str
    optimizer: str
    lr: float
    stages: tuple[int, ...]


# A good learning rate, and one so small that the choice moves (see LOG.md).
COURSES = (
    Course("chars", "adamw", 4e-3, (20, 100, 400)),
    Course("chars", "adamw", 1e-4, (20, 100, 400)),
    Course("digits-mlp", "adamw", 1e-2, (20, 100, 400)),
    Course("digits-mlp", "sgd", 3e-3, (20, 100, 400)),
    Course("digits-cnn", "adamw", 3e-4, (20, 100, 400)),
)


@dataclass
class Bank:
    """The candidates' averages of one parameter's gradients, and the metric's, in float64."""

    m: list[Tensor]
    v: Tensor

    def observe(self, g: Tensor, metric: bool) -> None:
        """Take in a gradient."""
        for beta, m in zip(BANK, self.m, strict=True):
            m.lerp_(g, 1 - beta)
        self.v.lerp_(g.square(), 1 - SQUARES) if metric else self.v.fill_(1.0)

    def terms(self, g: Tensor, step: int, metric: bool) -> list[Tensor]:
        """What is summed over coordinates: g / D m_k of every candidate, and 1 / D."""
        cost = (self.v / (1 - SQUARES**step)).sqrt() + EPS if metric else self.v
        return [*(g / cost * m for m in self.m), 1 / cost]


def looked(x: Tensor) -> Tensor:
    """A Probe's estimate of a sum."""
    seen = sample(x)
    return seen.sum() * (x.numel() / seen.numel())


def pay(sums: Tensor, numel: int, step: int) -> Tensor:
    """alignment / sqrt(power) of every candidate."""
    beta = torch.tensor(BANK, dtype=torch.float64)
    energy = gram(beta, torch.ones_like(beta), torch.tensor(float(step))).diagonal()
    return sums[:-1] / (energy * sums[-1] / numel).sqrt()


@dataclass
class Stage:
    """What was seen in a stretch of steps."""

    alignment: list[float] = field(default_factory=list)
    difference: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    agreed: list[float] = field(default_factory=list)
    smooth: list[float] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)

    def note(self, exact: Tensor, guess: Tensor, pays: Tensor, guesses: Tensor) -> None:
        """One step: alignments and pays, exact and sampled."""
        self.alignment += ((guess - exact)[:-1] / exact[:-1]).abs().tolist()
        for i, j in combinations(range(len(BANK)), 2):
            true = pays[i] - pays[j]
            error = (guesses[i] - guesses[j] - true).abs()
            self.difference.append(float(error / true.abs()))
            self.share.append(float(error / pays.abs().max()))
        self.agreed.append(float(pays.argmax() == guesses.argmax()))

    def choose(self, means: Tensor, guessed: Tensor) -> None:
        """One step: averaged pays, which is what a Probe compares."""
        self.smooth.append(float(means.argmax() == guessed.argmax()))
        self.chosen.append(int(means.argmax()))

    def record(self) -> Record:
        """Medians, quartiles and shares."""
        usual = Counter(self.chosen).most_common(1)[0][1] / len(self.chosen)
        errors = {"alignment": self.alignment, "difference": self.difference, "difference_of_largest": self.share}
        shares = {"agreed": fmean(self.agreed), "agreed_averaged": fmean(self.smooth), "usual": usual}
        return {name: spread(values) for name, values in errors.items()} | shares


def trainer(course: Course, params: list[Tensor]) -> Any:
    """The full bank itself."""
    if course.optimizer == "sgd":
        return fallline.SGD(params, course.lr, momentum=BANK, bank="full")
    return fallline.AdamW(params, course.lr, betas=(BANK, SQUARES), bank="full")


class Watch:
    """The banks of a model's parameters, and pays averaged as a Probe averages them."""

    def __init__(self, params: list[Tensor], metric: bool) -> None:
        self.params, self.metric, self.step = params, metric, 0
        self.banks = [Bank([zeros(p) for _ in BANK], zeros(p)) for p in params]
        self.pays = self.means = torch.zeros(2, len(BANK), dtype=torch.float64)  # exact, sampled

    @torch.no_grad()
    def look(self, stages: dict[int, Stage]) -> None:
        """Take in the gradients of a step, and note what they say in the stage that the step belongs to."""
        self.step += 1
        exact, guess = sums(self.banks, [p.grad.double() for p in self.params], self.step, self.metric)
        numel = sum(p.numel() for p in self.params)
        self.pays = torch.stack([pay(exact, numel, self.step), pay(guess, numel, self.step)])
        self.means = self.means.lerp(self.pays, (1 - SMOOTHING) / (1 - SMOOTHING**self.step))
        if self.step > 1:
            stage = stages[min(end for end in stages if self.step <= end)]
            stage.note(exact, guess, *self.pays)
            stage.choose(*self.means)


def zeros(p: Tensor) -> Tensor:
    """Like p, in float64."""
    return torch.zeros_like(p, dtype=torch.float64)


def train(course: Course, seed: int, stages: dict[int, Stage]) -> tuple[int, int]:
    """One run; how many coordinates the sample has, of how many."""
    task = WORKLOADS[course.workload].task(seed, None)
    params = list(task.parameters())
    opt, watch = trainer(course, params), Watch(params, course.optimizer == "adamw")
    for _ in range(max(stages)):
        opt.zero_grad()
        task.loss().backward()
        watch.look(stages)
        opt.step()
    return sum(sample(p.detach()).numel() for p in params), sum(p.numel() for p in params)


def sums(banks: list[Bank], grads: list[Tensor], step: int, metric: bool) -> tuple[Tensor, Tensor]:
    """Sums over all parameters, exact and sampled: the candidates' alignments and the trace of 1 / D, [K + 1]."""
    exact, guess = [], []
    for bank, g in zip(banks, grads, strict=True):
        bank.observe(g, metric)
        terms = bank.terms(g, step, metric)
        exact.append(torch.stack([x.sum() for x in terms]))
        guess.append(torch.stack([looked(x) for x in terms]))
    return torch.stack(exact).sum(0), torch.stack(guess).sum(0)


def measure(course: Course, seeds: tuple[int, ...], steps: int | None = None) -> list[Record]:
    """All seeds of a course, a record for each stage."""
    ends = [steps] if steps else list(course.stages)
    stages = {end: Stage() for end in ends}
    for seed in seeds:
        seen = train(course, seed, stages)
    told = {"workload": course.workload, "optimizer": course.optimizer, "lr": course.lr, "seeds": list(seeds)}
    first = dict(zip(ends, [2, *(end + 1 for end in ends)], strict=False))
    return [
        {**told, "from": first[end], "to": end, "sample": seen[0], "coordinates": seen[1], **stage.record()}
        for end, stage in stages.items()
    ]


def tables(tiny: bool) -> Iterator[list[Record]]:
    """Course by course; or a glimpse of one."""
    if tiny:
        yield measure(COURSES[2], SEEDS[:1], steps=3)
    else:
        yield from (measure(course, SEEDS) for course in COURSES)
