"""How often the ear's advice is wrong where nothing is to be changed, and right where something is.

python -m benchmarks.counsel [runs] prints the table and writes it into docs/listen.md. Gradients of known statistics
are injected in a real model.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import fallline
from benchmarks.table import ROOT, grown, rewrite
from fallline.listen import Recommendation
from fallline.theory import best_momentum, momentum_pay

STEPS, WINDOW = 256, 32
FIRST = 1000  # the rules were made while looking at seeds below it
SIZE = (24, 32)

Draw = Callable[[torch.Generator, int, Tensor], Tensor]  # random source, step, AR state of unit power -> gradient


@dataclass(frozen=True)
class Scene:
    """A stream, an optimizer that hears it, and what should be said: for each change that is right, its test.

    may: changes that are neither asked for nor wrong. rho: of the AR(1) state that the gradient is made of. used:
    momentum. adam: whether the optimizer is AdamW.
    """

    name: str
    draw: Draw
    right: dict[str, Callable[[dict[str, float | str]], bool]]
    may: tuple[str, ...] = ()
    rho: float = 0.9
    used: float = 0.9
    adam: bool = False
    steps: int = STEPS
    size: tuple[int, int] = SIZE

    def gradients(self, seed: int) -> Iterator[Tensor]:
        """The stream."""
        g = torch.Generator().manual_seed(seed)
        state, keep = torch.randn(self.size, generator=g), math.sqrt(1 - self.rho**2)
        for n in range(self.steps):
            yield self.draw(g, n, state)
            state = self.rho * state + keep * torch.randn(self.size, generator=g)

    def advice(self, seed: int) -> Recommendation:
        """What an ear advises that has heard it."""
        net = nn.Sequential(nn.Linear(self.size[1], self.size[0], bias=False), nn.Linear(self.size[0], 2, bias=False))
        net[1].weight.requires_grad_(False)  # so that the first layer is a hidden matrix, not the head
        params = [net[0].weight]
        adam = torch.optim.AdamW(params, lr=0.0, betas=(self.used, 0.99), weight_decay=0.0)
        opt = adam if self.adam else torch.optim.SGD(params, lr=0.0, momentum=self.used)
        with fallline.listen(net, window=WINDOW) as ear:
            for g in self.gradients(seed):
                net[0].weight.grad = g
                opt.step()
        return ear.recommend()


def mixed(a: float, b: float) -> Draw:
    """Noise of power a, signal of power b."""
    return lambda g, n, s: math.sqrt(a) * noise(g) + math.sqrt(b) * s


def noise(g: torch.Generator, size: tuple[int, ...] = SIZE) -> Tensor:
    """White."""
    return torch.randn(size, generator=g)


def few(n: int) -> Draw:
    """Signal and noise of n independent numbers, as real gradients have."""

    def draw(g: torch.Generator, step: int, s: Tensor) -> Tensor:
        size = SIZE[0] * SIZE[1]
        spread = [x.flatten()[:n].repeat_interleave(-(-size // n))[:size].view(SIZE) for x in (noise(g), s)]
        return spread[0] + spread[1]

    return draw


def rank_one(g: torch.Generator, n: int, s: Tensor) -> Tensor:
    """One pair of singular vectors of even size, which stays; its size has a mean and varies."""
    u, v = (torch.ones(k, 1) * (1 - 2 * (torch.arange(k) % 2))[:, None] for k in SIZE)
    return (1 + 0.3 * torch.randn((), generator=g)) * u @ v.T


def anisotropic(g: torch.Generator, n: int, s: Tensor) -> Tensor:
    """Signal that is even, noise that is ten times as large in half of the coordinates."""
    loud = torch.rand(s.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    return s.sign() + torch.where(loud, 10.0, 1.0) * noise(g, s.shape)


def by_row(g: torch.Generator, n: int, s: Tensor) -> Tensor:
    """The same in half of the rows."""
    return s.sign() + torch.where(torch.arange(len(s))[:, None] % 2 > 0, 10.0, 1.0) * noise(g, s.shape)


def one_row(g: torch.Generator, n: int, s: Tensor) -> Tensor:
    """Two rows carry all but nothing of the power, in signal and noise alike."""
    rows = torch.full((SIZE[0], 1), 0.05)
    rows[:2] = 3.0
    return rows * (noise(g) + s)


def larger(g: torch.Generator, n: int, s: Tensor) -> Tensor:
    """Three times as large after 600 steps."""
    return (3.0 if n >= 600 else 1.0) * (noise(g) + s)


def lost(g: torch.Generator, n: int, s: Tensor) -> Tensor:
    """Noise alone after 600 steps."""
    return noise(g) + (s if n < 600 else noise(g))


def fading(g: torch.Generator, n: int, s: Tensor) -> Tensor:
    """Gradients that shrink smoothly to a tenth, as those of a run do."""
    return 10 ** (-n / STEPS) * (noise(g) + s)


BEST = best_momentum(1.0, 1.0, 0.9)[0]


def pays(a: float, b: float, rho: float) -> Callable[[dict[str, float | str]], bool]:
    """Whether the momentum earns 90 % of what the best does."""
    best = best_momentum(a, b, rho)[0] if rho > 0 else 0.0
    top = float(momentum_pay(torch.tensor(best).double(), a, b, rho))

    def test(said: dict[str, float | str]) -> bool:
        return float(momentum_pay(torch.tensor(float(said["momentum"])).double(), a, b, rho)) > 0.9 * top

    return test


def is_metric(*names: str) -> Callable[[dict[str, float | str]], bool]:
    """Whether the metric is one of these."""
    return lambda said: said["metric"] in names


def yes(said: dict[str, float | str]) -> bool:
    """Whatever it says."""
    return True


def near(name: str, value: float, factor: float) -> Callable[[dict[str, float | str]], bool]:
    """Whether a number is within a factor."""
    return lambda said: 1 / factor <= float(said[name]) / value <= factor


SCENES = (
    Scene("white noise, SGD", mixed(1, 0), {}),
    Scene("white noise, AdamW", mixed(1, 0), {}, adam=True),
    Scene("1 + 1, rho .9, momentum at its best", mixed(1, 1), {}, used=BEST),
    Scene("1 + 1, rho .9, AdamW at its best", mixed(1, 1), {}, used=BEST, adam=True),
    Scene("8 numbers, 1 + 1, rho .9, at its best", few(8), {}, used=BEST),
    Scene("1 + 1, rho .9, fading to a tenth, at its best", fading, {}, used=BEST),
    Scene("rank 1, SGD at .99", rank_one, {}, ("batch size", "momentum"), used=0.99),
    Scene("noise by coordinate, AdamW", anisotropic, {}, ("batch size", "momentum"), adam=True, size=(64, 64)),
    Scene("1 + 1, rho .9, 1000 steps without a change", mixed(1, 1), {}, used=BEST, steps=1000),
    Scene("1 + 1, rho .9, three times as large after 600 of 1000", larger, {}, used=BEST, steps=1000),
    Scene("rho .9, momentum .5", mixed(0, 1), {"momentum": pays(0, 1, 0.9)}, ("batch size",), used=0.5),
    Scene("rho .9, momentum .99", mixed(0, 1), {"momentum": pays(0, 1, 0.9)}, ("batch size",), used=0.99),
    Scene("1 + 1, rho .9, AdamW .99", mixed(1, 1), {"momentum": pays(1, 1, 0.9)}, used=0.99, adam=True),
    Scene("1 + 1, rho .9, momentum 0", mixed(1, 1), {"momentum": pays(1, 1, 0.9)}, used=0.0),
    Scene("1 + 1, rho .9, fading, momentum .99", fading, {"momentum": pays(1, 1, 0.9)}, used=0.99),
    Scene("rho -.4, momentum .9", mixed(0, 1), {"learning rate": yes, "momentum": pays(0, 1, -0.4)}, rho=-0.4),
    Scene("noise by coordinate, SGD", anisotropic,
          {"metric": is_metric("diagonal")}, ("batch size", "momentum"), rho=1.0, size=(64, 64)),
    Scene("noise by row, SGD", by_row,
          {"metric": is_metric("row", "diagonal")}, ("batch size", "momentum"), rho=1.0, size=(64, 64)),
    Scene("two rows carry all, SGD", one_row, {"metric": is_metric("row")}, used=BEST),
    Scene("noise 16 times the signal", mixed(16, 1), {"batch size": near("batch factor", 16, 2.1)}, ("momentum",)),
    Scene("signal 16 times the noise", mixed(1, 16), {"batch size": near("batch factor", 1 / 4, 2.1)}, ("momentum",)),
    Scene("1 + 1, rho .9, and noise alone after 600 of 1000", lost, {"regime": yes}, ("momentum",), steps=1000),
)  # fmt: skip


def found(scene: Scene, runs: int, first: int = FIRST) -> tuple[Counter[str], Counter[str]]:
    """In how many runs each change was advised rightly, and each rule wrongly: what is not right, or not rightly."""
    right, wrong = Counter[str](), Counter[str]()
    for seed in range(first, first + runs):
        for one in scene.advice(seed).changes:
            if one.change in scene.may:
                continue
            good = one.change in scene.right and scene.right[one.change](one.settings)
            (right if good else wrong)[one.change if good else one.rule] += 1
    return right, wrong


def line(scene: Scene, runs: int) -> str:
    """A row of the table."""
    right, wrong = found(scene, runs)
    said = [f"{name} {100 * count / runs:.0f} %" for name, count in wrong.most_common()]
    must = [f"{name} {100 * right[name] / runs:.0f} %" for name in scene.right]
    return f"| {scene.name} | {', '.join(said) or 'none'} | {', '.join(must)} |"


def false_alarms(runs: int) -> str:
    """The table."""
    head = [f"{runs} runs a stream, {STEPS} steps, seeds from {FIRST}; chance of any wrong advice 5 % at most.\n"]
    head += ["| stream | wrong advice | right advice |", "|---|---|---|"]
    return grown(head, (line(scene, runs) for scene in SCENES))


if __name__ == "__main__":
    torch.set_num_threads(1)
    rewrite("advice", false_alarms(int(sys.argv[1]) if len(sys.argv) > 1 else 100), ROOT / "docs" / "listen.md")
