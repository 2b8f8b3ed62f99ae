"""Optimizers with ways of their own into the weights, on weights that are dealt out over processes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.fsdp import fully_shard

from cluster import Cluster
from conformance.rank import hand, model_of, whole
from fallline import (
    SVD,
    CheckpointError,
    DAdaptAverage,
    DAdaptSum,
    Decoupled,
    Descent,
    DoGStep,
    DoWGStep,
    DualNorm,
    EscapeVelocity,
    Euclid,
    Frobenius,
    LargestDual,
    OwnDual,
    Primed,
    ProdigyStep,
    QuasiHyperbolic,
    RawMoment,
    Rule,
    ScheduleFreeAdamW,
    Sign,
    Spectral,
)
from fallline.zoo.registry import REGISTRY
from kit import stream, weights

NAMES = ["scion", "uscion", "soda", "hyperball", "macro", "spel", "lmo-igt", "pion", "intrinsic-muon"]
NAMES += ["schedule-free-adamw", "schedule-free-sgd", "averages", "lookahead", "mechanic"]
NAMES += ["sps", "alr-hb", "momo", "momo-adam", "sania", "aegd", "aepg", "induced-log", "adam-hd", "adagrad-norm"]
NAMES += ["u-dog", "unixgrad", "adgd", "oasis", "smb", "o2nc", "o2nc-double", "hill-adam"]
NAMES += ["dion", "nordion2"]  # whose memory has other shapes than the weights
SHAPES = ((7, 3), (5,), (1, 2), (30, 9), (2, 3, 2))


def walked(name: str, how: str) -> dict[str, list[Tensor]]:
    """The weights after some steps, and those that `opt.eval()` shows."""
    model = model_of(SHAPES, how=how)
    opt = REGISTRY[name].build(list(model.parameters()))
    for now in stream(weights(SHAPES), 6):
        calls = itertools.count()

        def closure(now: Any = now, calls: Any = calls) -> float:
            half = 0.5 ** next(calls)  # the second gradient, for those who take one, is half of the first
            hand(model.parameters(), [g * half for g in now])
            return 2.0  # for those who read it

        opt.step(closure)
    live = [whole(p) for p in model.parameters()]
    opt.eval()
    shown = [whole(p) for p in model.parameters()]
    opt.train()
    assert all(map(torch.equal, live, map(whole, model.parameters())))
    return {"live": live, "shown": shown}


def all_walked(how: str) -> dict[str, Any]:
    """Every optimizer in turn."""
    return {name: walked(name, how) for name in NAMES}


@pytest.mark.slow
def test_shards_move_as_the_whole():
    alone, two = all_walked("plain"), Cluster(2)
    try:
        for how in ("shards", "columns"):
            for found in two.run(all_walked, how):
                for name in NAMES:
                    torch.testing.assert_close(found[name], alone[name], rtol=2e-4, atol=2e-5, msg=f"{name}, {how}")
    finally:
        two.stop()


MATRICES = ((7, 3), (30, 9), (5, 4))
MEASURING = {
    f"{step} {metric}": Rule(Primed(0.8), metric, step, Decoupled(0.1))
    for step in (DualNorm(), LargestDual(), EscapeVelocity(0.01))
    for metric in (Spectral(SVD()), Sign(), Frobenius())
}
FOUND = (
    (Euclid(), DoGStep(0.01)),
    (Euclid(), DoGStep(0.01, scope="parameter")),
    (OwnDual(Spectral(SVD())), DoWGStep(0.01)),
    (RawMoment(0.9), DoGStep(0.01)),
    (Euclid(), DAdaptSum(0.1)),
    (RawMoment(0.9), DAdaptAverage(0.01, judge=Sign())),
    (RawMoment(0.9), ProdigyStep(0.01, judge=Sign())),
    (Spectral(SVD()), ProdigyStep(0.01)),
    (Sign(), ProdigyStep(0.01)),
)
MEASURING |= {f"{step} {metric}": Rule(QuasiHyperbolic(0.8), metric, step, Decoupled(0.1)) for metric, step in FOUND}


def all_measured(how: str) -> dict[str, list[Tensor]]:
    """Every rule whose step measures, in turn."""
    found = {}
    for name, rule in MEASURING.items():
        model = model_of(MATRICES, how=how)
        opt = Descent(model.parameters(), rule, lr=1.0 if isinstance(rule.filter, QuasiHyperbolic) else 0.01)
        for now in stream(weights(MATRICES), 6):
            hand(model.parameters(), now)
            opt.step()
        found[name] = [whole(p) for p in model.parameters()]
    return found


@pytest.mark.slow
def test_steps_measure_the_whole():
    alone, two = all_measured("plain"), Cluster(2)
    try:
        for how in ("shards", "columns"):
            for found in two.run(all_measured, how):
                torch.testing.assert_close(found, alone, rtol=2e-4, atol=2e-5)
    finally:
        two.stop()


def followed(dealt: bool, folder: str) -> dict[str, Any]:
    """What a model says that its optimizer follows, while it trains, is evaluated, and trains again; a checkpoint."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2), nn.Tanh())
    model.append(nn.Linear(2, 2))
    if dealt:
        for layer in (model[0], model[2]):
            fully_shard(layer)
        fully_shard(model)  # the last layer is the root's own
    params = list(model.parameters())  # after a forward pass the root's own are gathered ones
    opt = ScheduleFreeAdamW(params, lr=0.1)
    opt.follow(model)
    x, said = torch.linspace(-1, 1, 12).reshape(4, 3), []
    for n in range(6):
        model.train(n % 3 != 2)
        y = model(x)
        if model.training:
            opt.zero_grad()
            y.square().mean().backward()
            opt.step()
        else:
            with torch.no_grad():
                said.append(model(x))  # once more, from what is gathered already
        said.append(y.detach())
    model.eval()
    told = opt.state_dict()
    live = [whole(entry["live"]) for entry in told["state"].values()]
    shown = [whole(p) for p in params]
    heir = ScheduleFreeAdamW(params, lr=0.1)
    heir.load_state_dict(told)
    heir.train()
    lost = ""
    if dealt:
        model.reshard()
        opt.eval()
        dcp.save({"optim": get_optimizer_state_dict(model, opt)}, checkpoint_id=folder)
        other = ScheduleFreeAdamW(params, lr=0.1)
        room = get_optimizer_state_dict(model, other)
        dcp.load({"optim": room}, checkpoint_id=folder)
        try:
            set_optimizer_state_dict(model, other, room)
        except CheckpointError as error:
            lost = str(error)
    return {"said": said, "live": live, "shown": shown, "back": [whole(p) for p in params], "lost": lost}


@pytest.mark.slow
def test_sharded_weights_follow_a_model_and_no_half_of_an_evaluation_is_loaded(tmp_path):
    alone, two = followed(False, ""), Cluster(2)
    try:
        for found in two.run(followed, True, str(tmp_path)):
            assert "saved in evaluation" in found.pop("lost")
            for key, x in found.items():
                torch.testing.assert_close(x, alone[key], rtol=1e-4, atol=1e-6, msg=key)
            assert any(not torch.equal(a, b) for a, b in zip(found["live"], found["shown"], strict=True))
    finally:
        two.stop()
