"""Optimizers with ways of their own into the weights, on weights that are dealt out over processes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cluster import Cluster
from conformance.rank import hand, model_of, whole
from fallline import (
    SVD,
    Decoupled,
    Descent,
    DualNorm,
    EscapeVelocity,
    Frobenius,
    LargestDual,
    Primed,
    Rule,
    Sign,
    Spectral,
)
from fallline.zoo.registry import REGISTRY
from kit import stream, weights

NAMES = ["scion", "uscion", "soda", "hyperball", "macro", "spel", "lmo-igt", "pion", "intrinsic-muon"]
NAMES += ["sps", "alr-hb", "momo", "momo-adam", "sania", "aegd", "aepg", "induced-log", "adam-hd", "adagrad-norm"]
NAMES += ["dion", "nordion2"]  # whose memory has other shapes than the weights
NAMES += ["cautious-adamw", "mgup-adamw", "opt-amsgrad", "adamw-sn", "snsm", "nigt"]  # which look at whole tensors
SHAPES = ((7, 3), (5,), (1, 2), (30, 9), (2, 3, 2))


def walked(name: str, how: str) -> dict[str, list[Tensor]]:
    """The weights after some steps, and those that `opt.eval()` shows."""
    model = model_of(SHAPES, how=how)
    opt = REGISTRY[name].build(list(model.parameters()))
    for now in stream(weights(SHAPES), 6):
        hand(model.parameters(), now)
        opt.step(loss=2.0)  # for those who read it
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


def all_measured(how: str) -> dict[str, list[Tensor]]:
    """Every rule whose step measures, in turn."""
    found = {}
    for name, rule in MEASURING.items():
        model = model_of(MATRICES, how=how)
        opt = Descent(model.parameters(), rule, lr=0.01)
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
