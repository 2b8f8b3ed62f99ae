"""Echo: small device numbers reach the host without making it wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Listener = Callable[[list[Any]], None]


def capturing(device: torch.device) -> bool:
    """Whether work for this device is now recorded in a CUDA graph instead of being done."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


class Echo:
    """Hands the numbers of a small tensor to a listener: at once on the CPU, otherwise when the copy has arrived.

    On an accelerator the copy is asynchronous, so a listener hears at the earliest one step late, in the order of the
    calls. What is told while a CUDA graph is captured nobody hears: the host is not there when it is replayed.
    """

    def __init__(self) -> None:
        self.captured: list[Any] = []  # plans that CUDA graphs point into
        self._under_way: deque[tuple[Any, Tensor, Listener]] = deque()

    def tell(self, numbers: Tensor, listener: Listener) -> None:
        """Send a 1-d tensor."""
        if numbers.device.type == "cpu":
            return listener(_listed(numbers))
        if capturing(numbers.device):
            return
        copy = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
        copy.copy_(numbers, non_blocking=True)
        arrival = torch.Event(numbers.device)
        arrival.record()
        self._under_way.append((arrival, copy, listener))

    def listen(self, wait: bool = False) -> None:
        """Deliver what has arrived; with `wait`, all that is under way."""
        if self._under_way and capturing(self._under_way[0][0].device):
            return
        while self._under_way and (wait or self._under_way[0][0].query()):
            arrival, copy, listener = self._under_way.popleft()
            if wait:
                arrival.synchronize()
            listener(copy.tolist())


def _listed(numbers: Tensor) -> list[Any]:
    """Numbers as Python has them; tensors of a class of their own refuse tolist."""
    return numbers.tolist() if type(numbers) is Tensor else [float(x) for x in numbers]
