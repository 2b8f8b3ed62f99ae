"""The ear's truth table: streams of known statistics injected into a model, and how often error bars hold the truth.

python -m benchmarks.listen [runs] prints it; `cost` in place of runs prints what hearing costs.
p.grad is set by hand before each step of an optimizer that the ear hears.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import fallline
from benchmarks import hearing_cost
from fallline.listen import Estimate, Heard
from fallline.theory import best_momentum, momentum_pay

STEPS = 200
WINDOW = 32
TRIED = 0.9  # the momentum in use


@dataclass(frozen=True)
class Stream:
    """Gradients g_n = sqrt(a) e_n + sqrt(b) s_n, s_n AR(1) with rho, coordinates scaled by lognormal factors.

    size: of the one matrix of the model. spread: of the logarithm of the scales; what few numbers tell of a larger
    matrix depends on it. ranks: if not 0, all numbers follow this many independent ones, as real gradients do.
    """

    name: str
    a: float
    b: float
    rho: float
    size: tuple[int, int] = (32, 16)
    spread: float = 0.0
    ranks: int = 0

    def scales(self) -> Tensor:
        """Of coordinates, of mean square 1; always the same."""
        g = torch.Generator().manual_seed(1)
        x = (self.spread * torch.randn(self.size, generator=g)).exp()
        return x / x.square().mean().sqrt()

    def gradients(self, seed: int, steps: int = STEPS) -> Iterator[Tensor]:
        """The stream."""
        g = torch.Generator().manual_seed(seed)
        scales, keep = self.scales(), math.sqrt(1 - self.rho**2) if self.rho < 1 else 0.0
        state = self._normal(g)
        for _ in range(steps):
            yield scales * (math.sqrt(self.a) * self._normal(g) + math.sqrt(self.b) * state)
            state = self.rho * state + keep * self._normal(g)

    def _normal(self, g: torch.Generator) -> Tensor:
        if not self.ranks:
            return torch.randn(self.size, generator=g)
        n = self.size[0] * self.size[1]
        few = torch.randn(self.ranks, generator=g).repeat_interleave(-(-n // self.ranks))[:n]
        return few.view(self.size)

    def truth(self) -> dict[str, float]:
        """What the estimates should say, per coordinate of mean square 1."""
        n, a, b, rho = self.size[0] * self.size[1], self.a, self.b, self.rho
        best = 0.0 if rho < 0 or b == 0 else min(best_momentum(a, b, rho)[0], 0.995)
        top, now = (float(momentum_pay(torch.tensor(x).double(), a, b, rho)) for x in (best, TRIED))
        return {
            "power": n * (a + b),
            "signal": n * b,
            "noise": n * a,
            "noise scale": a / b if b else math.inf,
            "lag 1": b * rho / (a + b),
            "lag 8": b * rho**8 / (a + b),
            "persistence": rho,
            "best momentum": best,
            "best momentum, clean": max(rho, 0.0),
            "margin": top / now - 1,
        }


STREAMS = (
    Stream("white", 1, 0, 0.0),
    Stream("AR .9", 0, 1, 0.9),
    Stream("AR -.4", 0, 1, -0.4),
    Stream("1 + 1, .9", 1, 1, 0.9),
    Stream("1 + .2, .9", 1, 0.2, 0.9),
    Stream("1 + .2, .9, 8 numbers", 1, 0.2, 0.9, ranks=8),
    Stream("1 + .2, .9, sampled", 1, 0.2, 0.9, size=(512, 400), spread=1.0),
)

READ: dict[str, Callable[[Heard], Estimate | None]] = {
    "power": lambda h: h.total.power,
    "signal": lambda h: h.total.signal,
    "noise": lambda h: h.total.noise,
    "noise scale": lambda h: h.total.noise_scale,
    "lag 1": lambda h: h.total.autocorrelation[1],
    "lag 8": lambda h: h.total.autocorrelation[8],
    "persistence": lambda h: h.total.persistence,
    "best momentum": lambda h: h.total.pay["euclid"].best,
    "best momentum, clean": lambda h: h.total.pay["euclid"].best_clean,
    "margin": lambda h: h.total.pay["euclid"].margin,
}


def listen(stream: Stream, seed: int, steps: int = STEPS, level: float = 0.95) -> Heard:
    """What an ear hears of a stream."""
    net = nn.Linear(stream.size[1], stream.size[0], bias=False)
    opt = torch.optim.SGD(net.parameters(), lr=0.0, momentum=TRIED)
    with fallline.listen(net, window=WINDOW) as ear:
        for g in stream.gradients(seed, steps):
            net.weight.grad = g
            opt.step()
    return ear.estimates(level, parameters=False)


def coverage(stream: Stream, runs: int, level: float = 0.95, first: int = 0) -> dict[str, tuple[float, float]]:
    """For each estimate the share of runs whose interval holds the truth, and the median half width over the truth."""
    truth, held = stream.truth(), [listen(stream, first + seed, level=level) for seed in range(runs)]
    found = {}
    for name, read in READ.items():
        bars = [bar for h in held if (bar := read(h)) is not None]
        share = sum(bar.low <= truth[name] * (1 + 1e-9) and truth[name] * (1 - 1e-9) <= bar.high for bar in bars) / runs
        wide = sorted((bar.high - bar.low) / 2 for bar in bars)[runs // 2]
        found[name] = share, wide
    return found


def main(runs: int) -> None:
    """Print the table."""
    print(f"share of {runs} runs of {STEPS} steps in which the 95 % interval holds the truth (median half width)\n")
    print("| stream |", " | ".join(READ), "|\n|---|" + "---|" * len(READ))
    for stream in STREAMS:
        cells = [f"{100 * share:.0f} ({wide:.2g})" for share, wide in coverage(stream, runs).values()]
        print("|", " | ".join([stream.name, *cells]), "|", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] == ["cost"]:
        hearing_cost.main()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
