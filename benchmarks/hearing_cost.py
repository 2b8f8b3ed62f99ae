"""What hearing costs: of an optimizer's step alone, and of a whole training step.

python -m benchmarks.listen cost prints it. Heard and unheard steps take turns, 32 at a time (one look at matrices, two
of the weights, four blocks), so that what else the machine does troubles both alike.
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

STEPS = 32  # of a stretch


class Cost(NamedTuple):
    """Milliseconds of a step, of CPU time of all threads and of the clock, without and with an ear, for each round."""

    cpu: list[tuple[float, float]]
    wall: list[tuple[float, float]]
    bytes: int  # of the ear
    numbers: int  # of the model

    def line(self, name: str) -> str:
        """In words."""
        return f"{name}: {self._share('CPU', self.cpu)}; {self._share('clock', self.wall)}"

    @property
    def memory(self) -> str:
        """The ear's, of what is there anyway."""
        share = self.bytes / self.numbers / 16
        return f"the ear keeps {self.bytes:,} bytes, {share:.2%} of weights, gradients and moments"

    @staticmethod
    def _share(kind: str, rounds: list[tuple[float, float]]) -> str:
        alone, heard = (min(one[i] for one in rounds) for i in (0, 1))
        ratios = sorted(heard / alone - 1 for alone, heard in rounds)
        low, mid, high = (ratios[round(q * (len(ratios) - 1))] for q in (0.1, 0.5, 0.9))
        return (
            f"{kind} {alone:.2f} -> {heard:.2f} ms (fastest of {len(rounds)} rounds each, {heard / alone - 1:+.1%}); "
            f"round by round {mid:+.1%} ({low:+.1%} ... {high:+.1%})"
        )


def measured(net: nn.Module, opt: torch.optim.Optimizer, backward: Callable[[], object], rounds: int) -> Cost:
    """Steps with and without an ear, in turns."""
    ear = fallline.listen(net)

    def stretch() -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(STEPS):
            backward()
            opt.step()
        return (1e3 * (time.process_time() - cpu) / STEPS, 1e3 * (time.perf_counter() - wall) / STEPS)

    def heard() -> tuple[float, float]:
        with ear:
            return stretch()

    stretch(), heard(), heard(), heard()  # the window is full before anything is measured
    gc.disable()
    both = [(stretch(), heard()) for _ in range(rounds)]
    gc.enable()
    cpu, wall = ([(alone[i], with_ear[i]) for alone, with_ear in both] for i in (0, 1))
    return Cost(cpu, wall, ear.bytes, sum(p.numel() for p in net.parameters()))


def alone(rounds: int = 15) -> Cost:
    """Torch's fused AdamW on the shapes of ResNet-50, without forward and backward; new gradients in each step."""
    net = nn.Module()
    for i, size in enumerate(LISTS["resnet50"].shapes):
        net.register_parameter(f"p{i}", nn.Parameter(torch.randn(size)))
    pairs = [(p, torch.randn_like(p)) for p in net.parameters()]

    def backward() -> None:
        for p, g in pairs:
            p.grad = g.detach()  # another tensor each time, as after zero_grad

    return measured(net, torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True), backward, rounds)


def whole(rounds: int = 3) -> Cost:
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
