"""F5, F6: hosts that are conventions rather than packages: torchtitan, DeepSpeed, Ray, skorch, fastai."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from conformance.recipe import Recipe
from kit import differences, feed, owned, snapshot, stream, walk


def test_f5_constructor_by_import_path_and_keywords(recipe: Recipe) -> None:
    """A configuration file says `fallline.AdamW` and a table of numbers and strings."""
    where = "fallline" if recipe.ours else "torch.optim"
    kind = getattr(import_module(where), recipe.kind.__name__)
    optimizer = kind(params=recipe.weights(), **recipe.build.keywords)  # type: ignore[attr-defined]
    walk(optimizer, stream(owned(optimizer), 2))
    assert isinstance(optimizer, torch.optim.Optimizer)


def test_f5_instances_share_nothing(recipe: Recipe) -> None:
    """One optimizer per part of a pipelined model: in turns they walk as each of them alone."""
    alone, turns = [recipe.made(), recipe.made(lr=0.002)], [recipe.made(), recipe.made(lr=0.002)]
    gradients = [stream(owned(one), 5, seed=seed) for seed, one in enumerate(alone)]
    for one, given in zip(alone, gradients, strict=True):
        walk(one, given)
    for step in range(5):
        for one, given in zip(turns, gradients, strict=True):
            walk(one, given[step : step + 1])
    assert [differences(snapshot(a), snapshot(b)) for a, b in zip(alone, turns, strict=True)] == [[], []]


def test_f2_parameters_exchanged_after_a_first_state_dict(recipe: Recipe) -> None:
    """Accelerate under FSDP2: save, load, exchange every parameter, then train, as if nothing had happened before."""
    optimizer, twin = recipe.made(), recipe.made()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.param_groups[0]["params"] = recipe.weights()
    gradients = stream(owned(twin), 3)
    walk(optimizer, gradients)
    walk(twin, gradients)
    assert differences(snapshot(optimizer), snapshot(twin)) == []
    assert differences(optimizer.state_dict(), twin.state_dict()) == []
    assert {id(p) for p in optimizer.state} == {id(p) for p in owned(optimizer)}


def test_f6_is_an_optimizer_by_type(recipe: Recipe) -> None:
    """DeepSpeed asks isinstance, and steps with no argument; nothing needs the very class."""
    kind = recipe.kind
    heir = type(f"Host{kind.__name__}", (kind,), {"extra": 1})
    optimizer = heir(recipe.weights(), **recipe.build.keywords)  # type: ignore[attr-defined]
    twin = recipe.made()
    gradients = stream(owned(twin), 3)
    walk(optimizer, gradients)
    walk(twin, gradients)
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert differences(snapshot(optimizer), snapshot(twin)) == []


def test_f6_keys_of_hosts_stay_in_the_groups(recipe: Recipe) -> None:
    """Through steps, a state dict, a pickle and a load."""
    marks = {"name": "body", "lr_scale": 0.5, "use_muon": False, "layers": [1, 2]}
    optimizer = recipe.build([{"params": recipe.weights(), **marks}])
    walk(optimizer, stream(owned(optimizer), 2))
    heir = recipe.build([{"params": recipe.weights()}])
    heir.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    for group in (optimizer.param_groups[0], heir.param_groups[0]):
        assert {key: group[key] for key in marks} == marks


def test_f6_numbers_are_set_between_steps(recipe: Recipe) -> None:
    """skorch and fastai write lr and weight_decay into the groups while training; the next step obeys."""
    optimizer = recipe.made()
    gradients = stream(owned(optimizer), 2)
    walk(optimizer, gradients[:1])
    before = snapshot(optimizer)["params"]
    for group in optimizer.param_groups:
        group["lr"], group["weight_decay"] = 0.0, 0.5
    walk(optimizer, gradients[1:])
    assert differences(snapshot(optimizer)["params"], before) == []


def test_f6_closure_is_evaluated_once_and_its_loss_returned(recipe: Recipe) -> None:
    """skorch steps so, and reads the loss from what `step` returns."""
    optimizer = recipe.made()
    gradients, seen = stream(owned(optimizer), 1)[0], []

    def closure() -> torch.Tensor:
        assert torch.is_grad_enabled()
        feed(owned(optimizer), gradients)
        seen.append(torch.ones(()))
        return seen[-1]

    assert optimizer.step(closure) is seen[0]
    assert len(seen) == 1


def test_f6_shards_that_hide_their_shape_train(recipe: Recipe, refused: Callable[[str], None]) -> None:
    """ZeRO's third stage leaves parameters of no elements in the groups, and hands over flat ones to step with."""
    hidden = Parameter(torch.empty(0))
    flat = recipe.weights()
    if recipe.routed:
        with pytest.raises(ValueError, match="Nothing of a parameter lies here"):
            recipe.build([*flat, hidden])
        return refused("nobody can tell whether such a parameter is a matrix")
    optimizer = recipe.build([{"params": [*flat, hidden]}] if _takes_empty(recipe) else [{"params": flat}])
    walk(optimizer, [[*now, torch.empty(0)][: len(owned(optimizer))] for now in stream(flat, 3)])
    assert hidden.numel() == 0 and all(p.isfinite().all() for p in flat)


def _takes_empty(recipe: Recipe) -> bool:
    """Whether vectors are welcome at all."""
    return "ns_steps" not in inspect.signature(recipe.kind).parameters


@pytest.mark.parametrize("word", ["train", "eval"])
def test_f6_modes_do_nothing_where_there_is_one_set_of_weights(ours: Recipe, word: str) -> None:
    """Hosts call train() and eval() where they exist: only rules that take gradients elsewhere have two modes."""
    optimizer: Any = ours.made()
    before = snapshot(optimizer)
    getattr(optimizer, word)()
    assert differences(before, snapshot(optimizer)) == []
    walk(optimizer, stream(owned(optimizer), 1))
