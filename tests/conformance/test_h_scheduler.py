"""H: schedulers, and who owns what."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conformance.recipe import Recipe
from fallline import OwnershipError
from kit import differences, feed, owned, snapshot, stream, twins, walk, weights
from schedule import CYCLING, SCHEDULERS


def shown(group: dict[str, Any]) -> Any:
    """The momentum where dashboards read it."""
    return group["betas"][0] if "betas" in group else group["momentum"]


def scheduled(opt: Any, scheduler: Any, steps: int = 7) -> list[float]:
    """The first group's learning rate in each step."""
    told = []
    for now in stream(owned(opt), steps):
        told.append(float(opt.param_groups[0]["lr"]))
        walk(opt, [now])
        scheduler.step(*([1.0] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else []))
    return told


# --- H1, H2 -------------------------------------------------------------------------------------------------------


def test_h1_that_is_all_there_are() -> None:
    """Where torch adds one, this suite asks for it."""
    known = set(lr_scheduler.__all__) - {"LRScheduler"} | {"SWALR"}
    assert known == set(SCHEDULERS) and len(known) == 16


@pytest.mark.parametrize("which", SCHEDULERS)
def test_h1_every_scheduler_drives(recipe: Recipe, which: str) -> None:
    """The learning rates are those that it gives to plain gradient descent, in every group; the weights stay finite."""
    ws = recipe.weights()
    opt = recipe.build([{"params": ws[:1]}, {"params": ws[1:]}])
    plain = torch.optim.SGD([{"params": twins(ws[:1])}, {"params": twins(ws[1:])}], lr=opt.defaults["lr"])
    assert scheduled(opt, SCHEDULERS[which](opt)) == scheduled(plain, SCHEDULERS[which](plain))
    assert [g["lr"] for g in opt.param_groups] == [g["lr"] for g in plain.param_groups]
    assert all(bool(w.isfinite().all()) for w in ws)


@pytest.mark.parametrize("which", CYCLING)
def test_h1_momentum_may_be_cycled(recipe: Recipe, which: str, refused: Callable[[str], None]) -> None:
    """A fixed one. One that chooses itself has an owner: the error names the scheduler and the way out."""
    opt = recipe.made()
    scheduler = CYCLING[which](opt)
    if recipe.chooses:
        with pytest.raises(OwnershipError, match=rf"{which} wrote .*Pass cycle_momentum=False to {which}"):
            scheduled(opt, scheduler)
        return refused("a momentum that chooses itself cannot be cycled too: pass cycle_momentum=False")
    momenta = []
    for now in stream(owned(opt), 6):
        momenta.append(shown(opt.param_groups[0]))
        walk(opt, [now])
        scheduler.step()
    assert len(set(momenta)) > 2 and all(bool(w.isfinite().all()) for w in owned(opt))


@pytest.mark.parametrize("which", CYCLING)
def test_h2_the_scheduler_multiplies_and_the_selector_chooses(chooser: Recipe, which: str) -> None:
    """With cycle_momentum=False each has its own number."""
    opt = chooser.made()
    told = scheduled(opt, SCHEDULERS[which](opt))
    group = opt.param_groups[0]
    assert len(set(told)) > 2 and shown(group) == group["chosen"] and group["chosen"] <= max(group["candidates"])


def test_h2_a_foreign_write_is_refused_before_anything_moves(chooser: Recipe) -> None:
    """Also where nobody knows who wrote; and it is no fault to write what stands there."""
    opt = chooser.made()
    walk(opt, stream(owned(opt), 3))
    group = opt.param_groups[0]
    mine = shown(group)
    for value in (mine, 0.85):
        group.update({"betas": (value, group["betas"][1])} if "betas" in group else {"momentum": value})
        feed(owned(opt), stream(owned(opt), 1)[0])
        before = snapshot(opt)
        if value == mine:
            opt.step()
            mine = shown(group)
            continue
        with pytest.raises(OwnershipError, match=r"Something else wrote 0\.85 .* group 0.*one number as momentum here"):
            opt.step()
        assert differences(snapshot(opt), before) == []


# --- H3 to H5 -----------------------------------------------------------------------------------------------------


def test_h3_what_dashboards_read(recipe: Recipe) -> None:
    """lr as scheduled, the momentum as a plain number, and of ours the effective learning rate beside it."""
    opt = recipe.made()
    scheduler = lr_scheduler.ExponentialLR(opt, 0.5)
    base = opt.defaults["lr"]
    scheduled(opt, scheduler, 3)
    group = opt.param_groups[0]
    assert group["lr"] == scheduler.get_last_lr()[0] == base / 8 and group["initial_lr"] == base
    assert type(shown(group)) is float
    if recipe.chooses:
        assert type(group["effective_lr"]) is float and group["effective_lr"] > 0
    if recipe.ours:
        told = opt.report()["groups"][0]
        assert told["lr"] == group["lr"] and told["momentum"] == shown(group) and told["effective_lr"] > 0


def test_h3_many_choices_show_their_median_and_range(chooser: Recipe) -> None:
    opt = chooser.made()
    walk(opt, stream(owned(opt), 8))
    told = opt.report()["groups"][0]
    if chooser.name != "AdamW each":
        assert "parameters" not in told
        return
    momenta = [one["momentum"] for one in told["parameters"].values()]
    assert told["momentum"] == float(torch.tensor(momenta, dtype=torch.float64).median())
    assert min(momenta) <= told["momentum"] <= max(momenta) and len(momenta) == len(owned(opt))


@pytest.mark.parametrize("first", ["optimizer", "scheduler"])
def test_h4_optimizer_and_scheduler_load_in_either_order(recipe: Recipe, first: str) -> None:
    opt = recipe.made()
    scheduler = lr_scheduler.CosineAnnealingLR(opt, 9)
    scheduled(opt, scheduler, 4)
    new = recipe.build(twins(owned(opt)))
    other = lr_scheduler.CosineAnnealingLR(new, 9)
    saved = copy.deepcopy(opt.state_dict()), scheduler.state_dict()
    loads = [lambda: new.load_state_dict(saved[0]), lambda: other.load_state_dict(saved[1])]
    for load in loads if first == "optimizer" else loads[::-1]:
        load()
    assert new.param_groups[0]["initial_lr"] == opt.defaults["lr"]
    assert scheduled(new, other, 4) == scheduled(opt, scheduler, 4)
    assert differences(snapshot(new)["params"], snapshot(opt)["params"]) == []


def test_h4_a_scheduler_may_begin_in_the_middle(recipe: Recipe) -> None:
    """last_epoch >= 0 needs the initial_lr that loading keeps."""
    opt = recipe.made()
    scheduled(opt, lr_scheduler.ExponentialLR(opt, 0.5), 3)
    new = recipe.build(twins(owned(opt)))
    new.load_state_dict(opt.state_dict())
    scheduler = lr_scheduler.ExponentialLR(new, 0.5, last_epoch=3)
    assert scheduler.base_lrs == [opt.defaults["lr"]]


def test_h5_warm_up_is_the_schedulers(recipe: Recipe) -> None:
    """No argument for it; from a learning rate of exactly 0 on, nothing breaks."""
    assert not [name for name in inspect.signature(recipe.kind).parameters if "warm" in name]
    opt = recipe.made()
    warm_up = lr_scheduler.LambdaLR(opt, lambda n: min(1.0, n / 3))
    cosine = lr_scheduler.CosineAnnealingLR(opt, 5)
    scheduler = lr_scheduler.SequentialLR(opt, [warm_up, cosine], [3])
    before = [p.detach().clone() for p in owned(opt)]
    told = scheduled(opt, scheduler, 1)
    assert told == [0.0] and differences([p.detach() for p in owned(opt)], before) == []
    told += scheduled(opt, scheduler, 5)
    assert told[3] == opt.defaults["lr"] and all(bool(p.isfinite().all()) for p in owned(opt))


# --- averages of weights, which schedulers of torch.optim.swa_utils go with ---------------------------------------


@pytest.mark.parametrize("average", [None, get_ema_multi_avg_fn(0.9)], ids=["swa", "ema"])
def test_h1_averaged_models_follow(recipe: Recipe, average: Any) -> None:
    """AveragedModel reads the weights after each step, and does not disturb the optimizer."""
    torch.manual_seed(0)
    models = [torch.nn.Linear(4, 4, bias=False) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    averaged = AveragedModel(models[0], multi_avg_fn=average)
    opts = [recipe.build(model.parameters()) for model in models]
    for now in stream(weights([(4, 4)]), 6):
        for opt in opts:
            walk(opt, [now])
        averaged.update_parameters(models[0])
    assert differences(snapshot(opts[0]), snapshot(opts[1])) == []
    assert bool((averaged.module.weight != models[0].weight).any()) and bool(averaged.module.weight.isfinite().all())
