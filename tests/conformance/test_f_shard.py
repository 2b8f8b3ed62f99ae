"""F2, the other half: FSDP2 as Accelerate sets it up, in two processes on the CPU."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch.nn.functional import mse_loss

from cluster import cluster
from conformance.recipe import RECIPES, Recipe
from conformance.tiny import batches, network
from host import need

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]  # what hosts warn of is their authors' business


def prepared(recipe: Recipe) -> tuple[Any, Any, Any]:
    """Host, model and optimizer as `prepare` returns them under FSDP2.

    Accelerate takes this path on accelerators alone; to let it do the same on a CPU, it is told that this is one.
    """
    accelerate = need("accelerate")
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "OMP_NUM_THREADS": 1}
    os.environ |= {key: str(number) for key, number in place.items()}
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    plugin = accelerate.utils.FullyShardedDataParallelPlugin(fsdp_version=2)
    host = accelerate.Accelerator(cpu=True)
    host.state.distributed_type, host.state.fsdp_plugin = accelerate.DistributedType.FSDP, plugin
    assert host.is_fsdp2
    model = network()
    return host, *host.prepare(model, recipe.build(model.parameters()))


def train(name: str, steps: int) -> dict[str, Any]:
    """One process's part: its half of every batch; what the whole model became."""
    recipe = next(one for one in RECIPES if one.name == name)
    host, model, optimizer = prepared(recipe)
    rank = torch.distributed.get_rank()
    for x, y in batches(steps):
        optimizer.zero_grad()
        host.backward(mse_loss(model(x[2 * rank : 2 * rank + 2]), y[2 * rank : 2 * rank + 2]))
        optimizer.step()
    return {
        "kinds": {type(p).__name__ for group in optimizer.param_groups for p in group["params"]},
        "params": [p.full_tensor().detach() for p in model.parameters()],
        "chosen": [group.get("chosen") for group in optimizer.param_groups],
        "states": len(optimizer.state_dict()["state"]),
    }


@pytest.mark.parametrize("name", [r.name for r in RECIPES if r.name != "torch Muon"])
def test_f2_fsdp2_trains_what_prepare_put_there(name: str) -> None:
    """The parameters are exchanged after construction; the model ends where one process alone takes it."""
    recipe = next(one for one in RECIPES if one.name == name)
    first, second = cluster(2).run(train, name, 6)
    assert first["kinds"] == {"DTensor"}
    model = network()
    optimizer = recipe.build(model.parameters())
    for x, y in batches(6):
        optimizer.zero_grad()
        mse_loss(model(x), y).backward()
        optimizer.step()
    for told in (first, second):
        torch.testing.assert_close(told["params"], [p.detach() for p in model.parameters()])
        assert told["chosen"] == [group.get("chosen") for group in optimizer.param_groups]
        assert told["states"] == 4
