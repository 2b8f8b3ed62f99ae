"""Two processes: replicas are heard once, shards together."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fallline
from cluster import Cluster

pytestmark = pytest.mark.host


def heard(kind: str) -> tuple[float, float, int, float]:
    torch.manual_seed(1)
    net: nn.Module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    if kind == "ddp":
        net = nn.parallel.DistributedDataParallel(net)
    if kind == "fsdp":
        from torch.distributed.fsdp import fully_shard

        fully_shard(net)
    opt = torch.optim.AdamW(net.parameters(), lr=0.01)
    source = torch.Generator().manual_seed(2)
    with fallline.listen(net, window=6) as ear:
        for _ in range(40):
            opt.zero_grad()
            net(torch.randn(16, 6, generator=source)).square().mean().backward()
            opt.step()
    total = ear.estimates().total
    assert total.update is not None
    return total.power.value, total.autocorrelation[3].value, total.sampled, total.update.value


def test_two_processes_hear_what_one_does() -> None:
    alone = heard("one")
    cluster = Cluster(2)
    try:
        for kind in ("ddp", "fsdp"):
            for found in cluster.run(heard, kind):
                assert found == pytest.approx(alone, rel=1e-4)
    finally:
        cluster.stop()
