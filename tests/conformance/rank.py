"""What one process does in the tests with several, and what one alone does for comparison."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode

from conformance.recipe import RECIPES
from fallline import EMA, Constant, Decoupled, Descent, Rule, SecondMoment
from fallline.core.border import dealt
from fallline.core.field import each
from kit import differences, stream, weights

Shapes = Sequence[Sequence[int]]

UNEVEN = ((7, 3), (5,), (1, 2), (300, 9), (2, 3, 2), (1024, 5))  # some processes get less of a tensor, or nothing
MATRICES = ((5, 4), (3, 3), (2, 6))
STEPS = 12


def build(recipe: str, params: Any, **options: Any) -> Any:
    """An optimizer by its recipe's name, since functions travel to other processes badly; Muon knows no foreach."""
    found = next(r for r in RECIPES if r.name == recipe)
    return found.build(params, **{key: x for key, x in options.items() if key != "foreach" or found.takes(key)})


def shapes_for(recipe: str) -> Shapes:
    """Tensors that it can move and that can be dealt out: no single numbers."""
    return MATRICES if recipe == "torch Muon" else UNEVEN


@lru_cache(maxsize=8)
def mesh(*shape: int) -> Any:
    """A mesh of all processes; where it has two dimensions, the first one replicates."""
    return init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard")[-len(shape) :])


def model_of(shapes: Shapes, dtype: torch.dtype = torch.float32, how: str = "plain") -> nn.Module:
    """Parameters of these shapes, the same everywhere, dealt out in one of several ways."""
    model = nn.ParameterList(weights(shapes, dtype))
    n = dist.get_world_size() if dist.is_initialized() else 1
    if how == "shards":
        fully_shard(model, mesh=mesh(n))
    elif how == "shards and replicas":
        fully_shard(model, mesh=mesh(2, n // 2))
    elif how == "columns":
        columns = [distribute_tensor(p.detach(), mesh(n), [Shard(p.dim() - 1)]) for p in model]
        model = nn.ParameterList(map(nn.Parameter, columns))
    elif how == "both":  # FSDP over tensor parallelism, which deals out the same dimension first
        grid = init_device_mesh("cpu", (2, n // 2), mesh_dim_names=("data", "tensor"))
        rows = [distribute_tensor(p.detach(), grid["tensor"], [Shard(0)]) for p in model]
        model = nn.ParameterList(map(nn.Parameter, rows))
        fully_shard(model, mesh=grid["data"])
    return model


def hand(params: Iterable[Any], gradients: Iterable[Tensor]) -> None:
    """Give every process its part of the same gradients, so that no sum can differ."""
    for p, g in zip(params, gradients, strict=True):
        p.grad = dealt(p, g) if isinstance(p, DTensor) else g.clone()


def whole(x: Any) -> Any:
    """A tensor in full."""
    if isinstance(x, DTensor):
        return x.full_tensor().detach().clone()
    return x.detach().clone() if isinstance(x, Tensor) else x


def told(opt: torch.optim.Optimizer, model: nn.Module) -> dict[str, Any]:
    """What one process and several must have in common."""
    state = opt.state_dict()["state"]
    return {
        "params": [whole(p) for p in model.parameters()],
        "state": [{key: whole(x) for key, x in entry.items()} for entry in state.values()],
    }


def choices(opt: torch.optim.Optimizer) -> list[float]:
    """What every parameter has chosen."""
    states = (opt.state[p] for group in opt.param_groups for p in group["params"])
    return [float(state["filter.choice"]) for state in states if "filter.choice" in state]


def listened(opt: torch.optim.Optimizer, n: int) -> list[int]:
    """Step n; how many collectives it took, in the first steps and in every fourth one, as listening is slow."""
    if n > 2 and n % 4:
        opt.step()
        return []
    with CommDebugMode() as heard:
        opt.step()
    return [heard.get_total_counts()]


def walked(
    recipe: str,
    how: str = "plain",
    dtype: torch.dtype = torch.float32,
    bad: tuple[int, ...] = (),
    **options: Any,
) -> dict[str, Any]:
    """A walk over a stream of gradients; in the steps `bad` one number of the last tensor is not finite."""
    shapes = shapes_for(recipe)
    model = model_of(shapes, dtype, how)
    opt = build(recipe, list(model.parameters()), **options)
    path, calls = list[list[float]](), list[int]()
    for n, now in enumerate(stream(weights(shapes, dtype), STEPS)):
        if n in bad:
            now[-1].reshape(-1)[-1] = torch.nan
        hand(model.parameters(), now)
        calls += listened(opt, n)
        path.append(choices(opt))
    skipped = opt.param_groups[0].get("skipped", 0)
    return {**told(opt, model), "path": path, "calls": calls, "skipped": skipped}


def walk(opt: Any, model: nn.Module, shapes: Shapes, first: int, last: int) -> None:
    """Some steps of the stream."""
    for now in stream(weights(shapes), last)[first:]:
        hand(model.parameters(), now)
        opt.step()


# --- checkpoints ------------------------------------------------------------------------------------------------------


def saved(recipe: str, how: str, folder: str, flat: bool) -> dict[str, Any]:
    """Walk half of the way, and write a checkpoint."""
    shapes = shapes_for(recipe)
    model = model_of(shapes, how=how)
    opt = build(recipe, list(model.parameters()), foreach=True)
    walk(opt, model, shapes, 0, STEPS // 2)
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    weights_, state = get_state_dict(model, opt, options=options)
    dcp.save({"model": weights_, "optim": state}, checkpoint_id=folder, no_dist=not dist.is_initialized())
    return told(opt, model)


def resumed(recipe: str, how: str, folder: str, flat: bool, trained: bool) -> dict[str, Any]:
    """Read it into a fresh optimizer, or into one that has gone another way, and walk the other half."""
    shapes = shapes_for(recipe)
    model = model_of(shapes, how=how)
    opt = build(recipe, list(model.parameters()), foreach=True)
    if trained:
        walk(opt, model, shapes, 0, 2)
    opt.zero_grad()
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    weights_, state = get_state_dict(model, opt, options=options)
    room = {"model": weights_, "optim": state}
    dcp.load(room, checkpoint_id=folder, no_dist=not dist.is_initialized())
    set_state_dict(model, opt, model_state_dict=room["model"], optim_state_dict=room["optim"], options=options)
    walk(opt, model, shapes, STEPS // 2, STEPS)
    return told(opt, model)


def gathered(recipe: str) -> dict[str, Any]:
    """Through one whole state dict, as many scripts do: gather, then deal out anew.

    Not flat: torch 2.13 cannot read a state dict that is both full and flat, not even its own AdamW's.
    """
    shapes = shapes_for(recipe)
    model = model_of(shapes, how="shards")
    opt = build(recipe, list(model.parameters()), foreach=True)
    walk(opt, model, shapes, 0, STEPS // 2)
    full = StateDictOptions(full_state_dict=True)
    weights_, state = get_state_dict(model, opt, options=full)
    other = model_of(shapes, how="shards")
    new = build(recipe, list(other.parameters()), foreach=True)
    set_state_dict(other, new, model_state_dict=weights_, optim_state_dict=state, options=full)
    walk(new, other, shapes, STEPS // 2, STEPS)
    return told(new, other)


def reloaded(recipe: str) -> dict[str, Any]:
    """Through torch's own state_dict, every process for itself."""
    shapes = shapes_for(recipe)
    model = model_of(shapes, how="shards")
    opt = build(recipe, list(model.parameters()), foreach=True)
    walk(opt, model, shapes, 0, STEPS // 2)
    new = build(recipe, list(model.parameters()), foreach=True)
    new.load_state_dict(opt.state_dict())
    walk(new, model, shapes, STEPS // 2, STEPS)
    return told(new, model)


def dealt_out(recipe: str) -> dict[str, Any]:
    """A whole state dict of one process that is loaded on shards as it is: every process keeps its part."""
    shapes = shapes_for(recipe)
    model, sharded = model_of(shapes), model_of(shapes, how="shards")
    opt = build(recipe, list(model.parameters()), foreach=True)
    walk(opt, model, shapes, 0, STEPS // 2)
    new = build(recipe, list(sharded.parameters()), foreach=True)
    new.load_state_dict(opt.state_dict())
    with torch.no_grad():
        for p, q in zip(sharded.parameters(), model.parameters(), strict=True):
            p.copy_(dealt(p, q))
    walk(new, sharded, shapes, STEPS // 2, STEPS)
    return told(new, sharded)


def taken_whole(recipe: str) -> None:
    """The state of shards, loaded where weights are whole: no part is the whole."""
    model = model_of(UNEVEN, how="shards")
    opt = build(recipe, list(model.parameters()))
    walk(opt, model, UNEVEN, 0, 2)
    build(recipe, list(model_of(UNEVEN).parameters())).load_state_dict(opt.state_dict())


def stopped(recipe: str) -> str:
    """What on_nonfinite="raise" says where the last process holds a bad number, and that nothing has moved."""
    model = model_of(UNEVEN, how="shards")
    opt = build(recipe, list(model.parameters()), on_nonfinite="raise")
    walk(opt, model, UNEVEN, 0, 2)
    before, [now] = told(opt, model), stream(weights(UNEVEN), 1)
    now[3][-1] = torch.inf
    hand(model.parameters(), now)
    try:
        opt.step()
    except FloatingPointError as error:
        assert not differences(before, told(opt, model))
        return str(error)
    return ""


def changed(recipe: str, how: str) -> dict[str, Any]:
    """A group's candidates change on the way; then a report, which says what lies here."""
    model = model_of(UNEVEN, how=how)
    opt = build(recipe, list(model.parameters()), foreach=True)
    walk(opt, model, UNEVEN, 0, 4)
    opt.param_groups[0]["candidates"] = (0.3, 0.8)
    walk(opt, model, UNEVEN, 4, STEPS)
    here = opt.report()
    return {**told(opt, model), "chosen": here["groups"][0]["chosen"], "bytes": here["state_bytes"]}


def asked_afresh(recipe: str, how: str) -> dict[str, Any]:
    """A distributed checkpoint of an optimizer that has not walked yet, then the walk."""
    shapes = shapes_for(recipe)
    model = model_of(shapes, how=how)
    opt = build(recipe, list(model.parameters()), foreach=True)
    get_state_dict(model, opt)
    clocks = [float(opt.state[p].get("step", 0.0)) for p in model.parameters()]
    opt.zero_grad()
    walk(opt, model, shapes, 0, STEPS)
    return {**told(opt, model), "clocks": clocks}


# --- real gradients ---------------------------------------------------------------------------------------------------


def network() -> nn.Sequential:
    """A small one whose second layer is dealt out unevenly."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 33), nn.Tanh(), nn.Linear(33, 3), nn.Tanh(), nn.Linear(3, 1))


def trained(recipe: str, how: str, steps: int = 10, **options: Any) -> dict[str, Any]:
    """Train on this process's share of the same batches."""
    n, rank = (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)
    model: Any = network()
    if how == "replicas":
        model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    elif how == "shards":
        for layer in model:
            if isinstance(layer, nn.Linear):
                fully_shard(layer, mesh=mesh(n))
        fully_shard(model, mesh=mesh(n))
    elif how == "flat":
        model = FullyShardedDataParallel(model, device_id=torch.device("cpu"), use_orig_params=options.pop("named"))
    opt = build(recipe, model.parameters(), **options)
    path, calls = list[list[float]](), list[int]()
    for i, x in enumerate(torch.randn(steps, 16, 6, generator=torch.Generator().manual_seed(4))):
        mine = x.chunk(n)[rank]
        opt.zero_grad()
        (model(mine) - mine.sum(1, keepdim=True).sin()).square().mean().backward()
        before = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        calls += listened(opt, i)
        after = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(map(torch.equal, map(whole, before), map(whole, after))), "a step leaves gradients as they were"
        path.append(choices(opt))
    return {"params": _all_of(model), "path": path, "calls": calls}


def _all_of(model: Any) -> list[Tensor]:
    if isinstance(model, FullyShardedDataParallel):
        with FullyShardedDataParallel.summon_full_params(model):
            return [p.detach().clone() for p in model.module.parameters()]
    return [whole(p) for p in model.parameters()]


def replicas_that_differ(recipe: str, compare: bool) -> str:
    """Processes that forgot to average their gradients; what the check says, if it is asked for."""
    os.environ["FALLLINE_AGREE"] = str(int(compare))
    try:
        model = model_of(UNEVEN)
        opt = build(recipe, list(model.parameters()))
        for now in stream(weights(UNEVEN), STEPS, seed=dist.get_rank()):
            hand(model.parameters(), now)
            opt.step()
        return ""
    except RuntimeError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        del os.environ["FALLLINE_AGREE"]


def complaint(job: str, *given: Any) -> str:
    """What went wrong in a job, in words."""
    try:
        partial(globals()[job], *given)()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def walked_on_a_route(recipe: str, how: str, dtype: torch.dtype, foreach: bool | None) -> dict[str, Any]:
    """A walk with or without kernels."""
    return walked(recipe, how, dtype, foreach=foreach)


def walked_blindly(recipe: str) -> dict[str, Any]:
    """A walk that does not look for bad numbers."""
    return walked(recipe, "shards", on_nonfinite="ignore")


def trained_flat(recipe: str, named: bool) -> dict[str, Any]:
    """Training under FSDP1."""
    return trained(recipe, "flat", named=named)


def whole_tensors(how: str) -> dict[str, Any]:
    """A rule whose metric is no formula of one coordinate, and remembers something of the whole tensor."""
    model = model_of(UNEVEN, how=how)
    opt = Descent(list(model.parameters()), Rule(EMA(0.9), Longest(), Constant(), Decoupled(0.01)), lr=0.1)
    walk(opt, model, UNEVEN, 0, STEPS)
    return told(opt, model) | {"path": []}


@dataclass(frozen=True)
class Longest(SecondMoment):  # type: ignore[misc]
    """Every coordinate over the largest of its tensor."""

    elementwise = False

    def direction(self, u: Any, mem: Any, t: Tensor) -> Any:
        return each(lambda x: x / x.abs().max().clamp(min=1e-30), super().direction(u, mem, t))
