"""What hearing costs: of an optimizer's step alone, and of a whole training step.

python -m benchmarks.listen cost prints it. Heard and unheard steps take turns, one at a time, so that what else the
machine does troubles both alike. A period of PERIOD heard steps holds all that an ear does: a look at matrices, two of
the weights, four blocks. Of each step of the period the median over all rounds counts, and the mean of these.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

import fallline
from benchmarks.shape import LISTS
from fallline.race.environment import environment

PERIOD = 32  # heard steps of a round
PARTS = 5  # of the rounds, to show how far they differ


class Cost(NamedTuple):
    """Milliseconds of a step, of CPU time of all threads and of the clock: [rounds, PERIOD, unheard and heard]."""

    cpu: Tensor
    wall: Tensor
    bytes: int  # of the ear
    numbers: int  # of the model

    def line(self, name: str) -> str:
        """In words."""
        return f"{name}: {self._share('CPU', self.cpu)}; {self._share('clock', self.wall)}"

    @property
    def memory(self) -> str:
        """The ear's, of what is there anyway."""
        share = self.bytes / self.numbers / 16
        return f"the ear keeps {self.bytes:,} bytes, {share:.3%} of weights, gradients and moments"

    @staticmethod
    def _share(kind: str, x: Tensor) -> str:
        parts = sorted(_added(part) for part in x.chunk(PARTS) if len(x) >= PARTS)
        spread = f" (fifths of the rounds {parts[0]:+.1%} ... {parts[-1]:+.1%})" if parts else ""
        return f"{kind} {float(_middle(x[..., 0]).mean()):.2f} ms {_added(x):+.1%}{spread}"


def _middle(x: Tensor) -> Tensor:
    """The median over rounds, of both in the middle where they are even: [rounds, PERIOD] -> [PERIOD]."""
    return x.quantile(0.5, 0)


def _added(x: Tensor) -> float:
    """What hearing adds, as a share of the unheard step."""
    return float(_middle(x[..., 1] - x[..., 0]).mean() / _middle(x[..., 0]).mean())


def measured(net: nn.Module, opt: torch.optim.Optimizer, backward: Callable[[], object], rounds: int) -> Cost:
    """Steps with and without an ear, in turns, either first every second time."""
    ear = fallline.listen(net)

    def step() -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        backward()
        opt.step()
        return 1e3 * (time.process_time() - cpu), 1e3 * (time.perf_counter() - wall)

    def heard() -> tuple[float, float]:
        with ear:
            return step()

    def pair(n: int) -> tuple[tuple[float, float], tuple[float, float]]:
        if n % 2:
            return step(), heard()
        late = heard()
        return step(), late

    for _ in range(3 * PERIOD):  # the window is full before anything is measured
        heard()
    gc.disable()
    told = torch.tensor([[pair(n) for n in range(PERIOD)] for _ in range(rounds)], dtype=torch.float64)
    gc.enable()
    return Cost(told[..., 0], told[..., 1], ear.bytes, sum(p.numel() for p in net.parameters()))


def alone(rounds: int = 50) -> Cost:
    """Torch's fused AdamW on the shapes of ResNet-50, without forward and backward; new gradients in each step."""
    net = nn.Module()
    for i, size in enumerate(LISTS["resnet50"].shapes):
        net.register_parameter(f"p{i}", nn.Parameter(torch.randn(size)))
    pairs = [(p, torch.randn_like(p)) for p in net.parameters()]

    def backward() -> None:
        for p, g in pairs:
            p.grad = g.detach()  # another tensor each time, as after zero_grad

    return measured(net, torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True), backward, rounds)


def whole(rounds: int = 5) -> Cost:
    """A whole training step of a small transformer, 4.8 million numbers, on 4 sequences of 64."""
    layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True, norm_first=True)
    net = nn.Sequential(nn.Linear(64, 256), nn.TransformerEncoder(layer, 6, enable_nested_tensor=False))
    x = torch.randn(4, 64, 64)
    opt = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)

    def backward() -> Tensor:
        opt.zero_grad()
        loss: Tensor = net(x).square().mean()
        loss.backward()
        return loss

    return measured(net, opt, backward, rounds)


def main() -> None:
    """Print all costs."""
    said = environment()
    print(", ".join(f"{key} {said[key]}" for key in ("torch", "python", "platform", "cpu", "cores", "commit")))
    for threads in (1, 2):
        torch.set_num_threads(threads)
        steps = alone()
        print(steps.line(f"{threads} thread(s), AdamW's step alone, ResNet-50's shapes"), flush=True)
        print(whole().line(f"{threads} thread(s), whole training step, small transformer"), flush=True)
    print(steps.memory)
