"""Laws of filters: they are causal, linear, and what `taps` says they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.core.memory import Memory
from fallline.core.part import Filter


def run(part: Filter, stream: Tensor) -> tuple[list[Tensor], list[Memory]]:
    """The filter's outputs on a stream [steps, ...] of gradients."""
    mem = Memory(part.memory(stream[0]))
    outputs = []
    for n, g in enumerate(stream, start=1):
        t = torch.tensor(float(n), dtype=torch.float64)
        part.remember(g, mem, t)
        outputs.append(part.output(g, mem, t).clone())
    return outputs, [mem]


def output_is_the_convolution_with_the_taps(part: Filter, stream: Tensor) -> None:
    """u_n = sum_k q_k g_{n-k}."""
    for n, u in enumerate(run(part, stream)[0], start=1):
        q = part.taps(n).to(stream.dtype)
        assert_close(u, torch.einsum("k,k...->...", q, stream[:n].flip(0)))


def gain_is_the_sum_of_the_taps(part: Filter, stream: Tensor) -> None:
    """gain(n) = sum_k q_k."""
    _, (mem,) = run(part, stream)
    for n in (1, 2, 7):
        assert_close(part.gain(mem, torch.tensor(float(n), dtype=torch.float64)), part.taps(n).sum())


def a_gradient_is_not_written_to(part: Filter, stream: Tensor) -> None:
    """g belongs to the user."""
    before = stream.clone()
    run(part, stream)
    assert torch.equal(stream, before)


def gain_at_the_end_is_the_sum_of_the_taps(part: Filter, stream: Tensor) -> None:
    """The same of filters that remember what of their start is left, and so know only their own age."""
    _, (mem,) = run(part, stream)
    n = len(stream)
    assert_close(part.gain(mem, torch.tensor(float(n), dtype=torch.float64)), part.taps(n).sum())


AGEING = (
    output_is_the_convolution_with_the_taps,
    gain_at_the_end_is_the_sum_of_the_taps,
    a_gradient_is_not_written_to,
)
LAWS = (output_is_the_convolution_with_the_taps, gain_is_the_sum_of_the_taps, a_gradient_is_not_written_to)
