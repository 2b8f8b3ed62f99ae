"""E, what one process can show: gradients that are views, partitioned and wrapped parameters, accumulation."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn import Parameter
from torch.nn.parallel import DistributedDataParallel
from torch.testing._internal.two_tensor import TwoTensor

from conformance.recipe import MATRICES, Recipe
from kit import differences, feed, owned, snapshot, stream, twins, walk, weights


@pytest.fixture
def alone() -> Iterator[None]:
    """A process group of one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


# --- E5 -----------------------------------------------------------------------------------------------------------


def test_e5_partitioned_parameters(recipe: Recipe, refused: Callable[[str], None]) -> None:
    """At construction ZeRO's parameters are empty; what it moves later are flat pieces. Nothing is routed by shape."""
    empty = [Parameter(torch.empty(0)) for _ in range(2)]
    for p, shape in zip(empty, [(5, 4), (3,)], strict=True):
        p.ds_shape, p.ds_tensor = torch.Size(shape), torch.zeros(torch.Size(shape).numel())
    if recipe.shapes is MATRICES:
        with pytest.raises(ValueError, match="only supports 2D"):
            recipe.build(empty)
        return refused("a rule of whole matrices cannot move pieces")
    if recipe.routed:
        with pytest.raises(ValueError, match=r"ZeRO-3 has taken its \(5, 4\) numbers away.*DDP"):
            recipe.build(empty)
        return refused("a rule of whole matrices cannot move pieces, and knows by ds_shape that they are matrices")
    opt = recipe.build(empty)
    pieces = weights([(20,), (3,)])
    opt.param_groups[0]["params"] = pieces
    other = recipe.build(twins(pieces))
    for o in (opt, other):
        walk(o, stream(owned(o), 5))
    assert differences(snapshot(opt)["params"], snapshot(other)["params"]) == []


# --- E7, E8 -------------------------------------------------------------------------------------------------------


def test_e7_gradients_may_be_views_of_a_bucket(recipe: Recipe) -> None:
    """The bucket is not written to, the choice is that of gradients of their own, and nothing is held after a step."""
    opt, other = recipe.made(), recipe.made()
    bucket = torch.zeros(sum(p.numel() for p in owned(opt)))
    for now in stream(owned(opt), 6):
        bucket.copy_(torch.cat([g.reshape(-1) for g in now]))
        places = bucket.split([p.numel() for p in owned(opt)])
        for p, place in zip(owned(opt), places, strict=True):
            p.grad = place.view_as(p)
        before = bucket.clone()
        opt.step()
        walk(other, [now])
        assert differences(bucket, before) == []
    torch.testing.assert_close([p.detach() for p in owned(opt)], [p.detach() for p in owned(other)])


def test_e7_no_gradient_is_held_between_steps(recipe: Recipe) -> None:
    opt = recipe.made()
    walk(opt, stream(owned(opt), 3))
    held = [weakref.ref(p.grad) for p in owned(opt)]
    opt.zero_grad()
    assert [one() for one in held] == [None] * len(held)


@pytest.mark.filterwarnings("ignore")
def test_e7_ddp_with_buckets(recipe: Recipe, alone: None) -> None:
    """The real thing, with one process: the path is that of the bare model."""
    ends = []
    for wrap in (False, True):
        torch.manual_seed(0)
        model: Any = torch.nn.Sequential(*(torch.nn.Linear(4, 4, bias=False) for _ in range(2)))
        model = DistributedDataParallel(model, gradient_as_bucket_view=True) if wrap else model
        opt = recipe.build(model.parameters())
        for x in torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(1)):
            opt.zero_grad()
            model(x).square().mean().backward()
            opt.step()
        ends.append([p.detach() for p in owned(opt)])
    torch.testing.assert_close(*ends)


def test_e8_any_subset_of_parameters(recipe: Recipe) -> None:
    ws = recipe.weights()
    for some in ([ws[0]], ws[1:], ws[::2]):
        walk(recipe.build(some), stream(some, 2))


@pytest.mark.filterwarnings("ignore")
def test_e8_zero_redundancy_wraps_the_class(recipe: Recipe, alone: None) -> None:
    """It partitions the parameters, builds the class on its own, and saves."""
    ws, options = recipe.weights(), {key: x for key, x in recipe.build.keywords.items()}
    opt = ZeroRedundancyOptimizer(ws, optimizer_class=recipe.kind, **options)
    other = recipe.build(twins(ws))
    for o in (opt, other):
        walk(o, stream(ws, 5))
    torch.testing.assert_close([p.detach() for p in ws], [p.detach() for p in owned(other)])
    opt.consolidate_state_dict()
    assert set(opt.state_dict()) == {"state", "param_groups"}


# --- E9, E10 ------------------------------------------------------------------------------------------------------


def test_e9_an_accumulated_gradient_is_one(recipe: Recipe) -> None:
    """Of two halves that backward adds up: the choice sees the sum, as do the parameters."""
    opt, other = recipe.made(), recipe.made()
    halves = zip(stream(owned(opt), 6, seed=1), stream(owned(opt), 6, seed=2), strict=True)
    for first, second in halves:
        opt.zero_grad()
        for half in (first, second):
            torch.stack([(p * g).sum() for p, g in zip(owned(opt), half, strict=True)]).sum().backward()
        opt.step()
        walk(other, [[a + b for a, b in zip(first, second, strict=True)]])
    assert differences(snapshot(opt), snapshot(other)) == []


def inner(p: Tensor) -> list[Tensor]:
    """What a parameter that is two tensors holds."""
    return [p.a.detach(), p.b.detach()]


def test_e10_parameters_may_be_tensor_subclasses(recipe: Recipe) -> None:
    """Operations reach both tensors inside; nobody looks at an address."""
    w = weights([(5, 4)])[0].detach()
    double = Parameter(TwoTensor(w.clone(), w.clone()))
    opt, other = recipe.build([double]), recipe.build([Parameter(w.clone())])
    for (g,) in stream([w], 5):
        feed([double], [TwoTensor(g, g.clone())])
        feed(owned(other), [g])
        opt.step()
        other.step()
    assert isinstance(owned(opt)[0], TwoTensor)
    for x in inner(owned(opt)[0]):
        torch.testing.assert_close(x, owned(other)[0].detach(), rtol=1e-5, atol=1e-6)
    if recipe.ours:
        chosen = [o.report()["groups"][0]["momentum"] for o in (opt, other)]
        assert chosen[0] == chosen[1]
