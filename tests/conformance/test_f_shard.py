"""F2, the other half: FSDP2 as Accelerate sets it up, in two processes on the CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import mse_loss

from cluster import Cluster
from conformance.recipe import RECIPES, Recipe
from conformance.tiny import batches, matrices
from host import need
from kit import differences

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]  # what hosts warn of is their authors' business


@pytest.fixture(scope="module")
def two() -> Iterator[Cluster]:
    """Two processes."""
    need("accelerate")
    found = Cluster(2)
    yield found
    found.stop()


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
    accelerate.PartialState._shared_state["distributed_type"] = accelerate.DistributedType.FSDP
    assert host.is_fsdp2
    model = matrices()
    return host, *host.prepare(model, recipe.build(model.parameters()))


def train(name: str, steps: int) -> dict[str, Any]:
    """One process's part: its half of every batch; what the whole model became."""
    host, model, optimizer = prepared(called(name))
    walk(host, model, optimizer, batches(steps))
    return told(model, optimizer)


def resume(name: str, folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Three steps, save_state, three more; and the same last three from what was saved."""
    host, model, optimizer = prepared(called(name))
    walk(host, model, optimizer, batches(6)[:3])
    host.save_state(folder)
    walk(host, model, optimizer, batches(6)[3:])
    whole = told(model, optimizer)
    host, model, optimizer = prepared(called(name))
    host.load_state(folder)
    walk(host, model, optimizer, batches(6)[3:])
    return whole, told(model, optimizer)


def called(name: str) -> Recipe:
    """A recipe by its name: closures do not travel between processes."""
    return next(one for one in RECIPES if one.name == name)


def walk(host: Any, model: Any, optimizer: Any, data: Any) -> None:
    """One step for each batch, of which this process sees its half."""
    rank = torch.distributed.get_rank()
    for x, y in data:
        optimizer.zero_grad()
        host.backward(mse_loss(model(x[2 * rank : 2 * rank + 2]), y[2 * rank : 2 * rank + 2]))
        optimizer.step()


def told(model: Any, optimizer: Any) -> dict[str, Any]:
    """What all processes must agree on."""
    return {
        "kinds": {type(p).__name__ for group in optimizer.param_groups for p in group["params"]},
        "params": [p.full_tensor().detach() for p in model.parameters()],
        "chosen": [group.get("chosen") for group in optimizer.param_groups],
        "states": len(optimizer.state_dict()["state"]),
    }


def test_f2_fsdp2_trains_what_prepare_put_there(recipe: Recipe, two: Cluster) -> None:
    """The parameters are exchanged after construction; the model ends where one process alone takes it."""
    first, second = two.run(train, recipe.name, 6)
    assert first["kinds"] == {"DTensor"}
    model = matrices()
    optimizer = recipe.build(model.parameters())
    for x, y in batches(6):
        optimizer.zero_grad()
        mse_loss(model(x), y).backward()
        optimizer.step()
    for told in (first, second):
        rounding = 1e-3 if recipe.name.startswith("Muon") else 1e-5  # polar factors magnify what sums differ by
        torch.testing.assert_close(
            told["params"], [p.detach() for p in model.parameters()], rtol=rounding, atol=rounding
        )
        assert told["chosen"] == [group.get("chosen") for group in optimizer.param_groups]
        assert told["states"] == 2


def test_f2_fsdp2_saves_and_loads(recipe: Recipe, two: Cluster, tmp_path: Path) -> None:
    """save_state and load_state by Accelerate, shard by shard: bit by bit."""
    for whole, heir in two.run(resume, recipe.name, str(tmp_path)):
        assert differences(heir, whole) == []
