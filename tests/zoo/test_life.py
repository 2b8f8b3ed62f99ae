"""Every named optimizer lives as a torch optimizer does; those of kit.NAMED are examined line by line elsewhere."""

from __future__ import annotations

import io
import pickle

import pytest
import torch

from fallline.zoo.registry import REGISTRY
from kit import NAMED, differences, feed, owned, snapshot, step, stream, walk, weights

NAMES = [name for name in REGISTRY if name not in NAMED]
every_name = pytest.mark.parametrize("name", NAMES)


# Steps that find their size begin far below what bfloat16 can tell: here they begin farther away.
FAR = {"dog": {"reps_rel": 0.1}, "l-dog": {"reps_rel": 0.1}, "dowg": {"reps_rel": 0.1}, "prodigy": {"d0": 0.1}}
FAR |= {"dadapt-sgd": {"d0": 0.1}, "dadapt-adam": {"d0": 0.1}}
FAR |= {"cautious-lion": {"lr": 0.05}}
FAR |= {"adgd": {"start": 0.01}, "oasis": {"start": 30.0}, "u-dog": {"reps_rel": 0.1}}


def built(name, far=False, **how):
    """An optimizer of its own weights: two matrices, a stack, vectors and a number."""
    shapes = ((5, 4), (4,), (3, 6), (2, 3, 2), ())
    params = weights(shapes, **how)
    return REGISTRY[name].build(params, **FAR[name]) if far and name in FAR else REGISTRY[name].build(params)


@every_name
def test_saved_and_loaded_it_goes_on_to_the_last_bit(name):
    opt = built(name)
    gradients = stream(owned(opt), 9)
    walk(opt, gradients[:5])
    file = io.BytesIO()
    torch.save({"opt": opt.state_dict(), "params": [p.detach() for p in owned(opt)]}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = built(name)
    for p, x in zip(owned(other), saved["params"], strict=True):
        p.data.copy_(x)
    other.load_state_dict(saved["opt"])
    for one in (opt, other):
        walk(one, gradients[5:])
    assert not differences(snapshot(opt), snapshot(other))


@every_name
def test_alone_or_in_bundles_it_walks_the_same_way(name):
    seen = []
    for foreach in (False, True):
        opt = built(name)
        for group in opt.param_groups:
            group["foreach"] = foreach
        walk(opt, stream(owned(opt), 6))
        seen.append(snapshot(opt)["params"])
    assert not differences(*seen)


@every_name
def test_nothing_moves_without_lr_and_gradients_or_for_nan(name):
    opt = built(name)
    walk(opt, stream(owned(opt), 3))
    before = snapshot(opt)
    rates = [group["lr"] for group in opt.param_groups]
    for group in opt.param_groups:
        group["lr"] = 0.0
    step(opt, [torch.zeros_like(p) for p in owned(opt)])
    for group, lr in zip(opt.param_groups, rates, strict=True):
        group["lr"] = lr
    assert not differences(before, snapshot(opt))
    feed(owned(opt), [torch.full_like(p, torch.nan) for p in owned(opt)])
    with pytest.warns(UserWarning, match="skipped"):
        opt.step(lambda: 0.5)
    after = snapshot(opt)
    assert not differences((before["params"], before["state"]), (after["params"], after["state"]))


@every_name
def test_zero_gradients_give_no_nan(name):
    opt = built(name)
    for _ in range(3):
        step(opt, [torch.zeros_like(p) for p in owned(opt)])
    assert all(bool(p.isfinite().all()) for p in owned(opt))


@every_name
def test_narrow_weights_move_and_stay_finite(name):
    opt = built(name, far=True, dtype=torch.bfloat16)
    before = [p.detach().clone() for p in owned(opt)]
    walk(opt, stream(owned(opt), 6))
    assert all(bool(p.isfinite().all()) for p in owned(opt))
    assert all(not torch.equal(p, old) for p, old in zip(owned(opt), before, strict=True))


@every_name
def test_a_pickle_goes_on(name):
    opt = built(name)
    walk(opt, stream(owned(opt), 3))
    twin = pickle.loads(pickle.dumps(opt))
    for one in (opt, twin):
        walk(one, stream(owned(one), 3, seed=2))
    assert not differences(snapshot(opt)["params"], snapshot(twin)["params"])
    assert "→" in repr(opt)
    assert opt.report()["groups"]
