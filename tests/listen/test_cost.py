"""What hearing does in a step, counted in operations: time is measured by benchmarks/hearing_cost.py, never here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import fallline
from fallline.core.kernel import compiler

native = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")


class Count(TorchDispatchMode):
    """Operations that torch was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n += 1
        return func(*args, **(kwargs or {}))


def counted(vectors: int, matrices: int, steps: int) -> list[int]:
    """Operations of each heard step, after those of the first block."""
    net = nn.Module()
    for i in range(vectors + matrices):
        net.register_parameter(f"p{i}", nn.Parameter(torch.zeros((64,) if i < vectors else (80, 60))))
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    ear, found = fallline.listen(net, window=16), []
    for _ in range(8 + steps):
        with Count() as count:
            ear.observe()
        found.append(count.n)
    return found[8:]


@native
def test_a_plain_step_asks_torch_for_nothing_and_a_block_for_little() -> None:
    assert min(counted(110, 25, 5)) == 0
    assert max(counted(110, 25, 16)) == max(counted(10, 5, 16)) <= 20


@pytest.mark.usefixtures("interpreted")
def test_without_a_compiler_a_plain_step_costs_no_operation_for_small_tensors_and_one_for_large_ones() -> None:
    few, many = counted(10, 5, 5), counted(110, 25, 5)
    assert min(many) - min(few) == 20
    assert min(few) <= 20


@pytest.mark.usefixtures("interpreted")
def test_without_a_compiler_a_block_costs_operations_that_do_not_grow_with_the_model() -> None:
    assert max(counted(110, 0, 16)) == max(counted(10, 0, 16)) <= 200
