"""What one process does in the tests with several: it builds a sharded model and walks, and tells what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import CommDebugMode

from fallline.core.border import dealt
from kit import OPTIMIZERS, stream, weights

UNEVEN = ((7, 3), (5,), (1, 2), (300, 9), (2, 3, 2), (1024, 5))  # of two and of four processes some get less, or nothing


@lru_cache(maxsize=8)
def mesh(*shape: int) -> Any:
    """A mesh of all processes."""
    return init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard")[-len(shape) :])


def sharded(params: Iterable[nn.Parameter], *shape: int) -> nn.ParameterList:
    """The parameters, dealt out by FSDP2 over a mesh of this shape."""
    model = nn.ParameterList(params)
    fully_shard(model, mesh=mesh(*(shape or (dist.get_world_size(),))))
    return model


def whole(x: Any) -> Any:
    """A DTensor in full, anything else as it is."""
    return x.full_tensor().clone() if isinstance(x, DTensor) else x.detach().clone() if isinstance(x, Tensor) else x


def hand(params: Iterable[Any], gradients: Iterable[Tensor]) -> None:
    """Give every process its part of the same gradients."""
    for p, g in zip(params, gradients, strict=True):
        p.grad = dealt(p, g) if isinstance(p, DTensor) else g.clone()


def told(opt: torch.optim.Optimizer, model: nn.Module) -> dict[str, Any]:
    """Everything that one process and several must have in common."""
    state = opt.state_dict()["state"]
    return {
        "params": [whole(p) for p in model.parameters()],
        "state": [{key: whole(x) for key, x in entry.items()} for entry in state.values()],
        "groups": [{key: x for key, x in group.items() if key != "params"} for group in opt.param_groups],
    }
