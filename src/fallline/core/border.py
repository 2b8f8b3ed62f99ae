"""The border between tensors that are dealt out over processes and the engine, which computes on what lies here.

The only file that knows of DTensors, and it knows them by their methods: torch.distributed.tensor is not imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from .shard import Shard, held


def dtensor(x: Any) -> bool:
    """Whether x is a DTensor; asked in every step of every parameter."""
    return type(x) not in (Tensor, Parameter) and hasattr(x, "to_local")


def near(x: Any) -> Any:
    """The numbers of x that lie here: x itself, or a DTensor's local part."""
    if not dtensor(x):
        return x
    here = x.to_local()
    return here.wait() if hasattr(here, "wait") else here  # it may still be on its way


def near_gradient(p: Any) -> Any:
    """What of p.grad lies where p does; a gradient that is laid out otherwise comes as it is (see `fetched`)."""
    g = p.grad
    if not dtensor(g) or not dtensor(p):
        return g
    return near(g) if g.placements == p.placements else g


def fetched(p: Any, g: Any) -> Any:
    """A gradient as `near_gradient` gave it, brought to where p lies; all processes must ask for it together."""
    if not dtensor(g):
        return g
    return near(g.redistribute(placements=p.placements))


def misfit(rule: Any, p: Any) -> str | None:
    """Why a rule cannot move a parameter of which only a part lies here."""
    if getattr(p, "_fsdp_flattened", False) and any(part.measures for part in rule.choosers.values()):
        return (
            "FSDP1 does not say which part of a weight lies here, so that every process would choose for itself. Shard "
            "with torch.distributed.fsdp.fully_shard (FSDP2), or give one number as momentum."
        )
    if not dtensor(p):
        return None
    how = f"a DTensor with placements {p.placements} on {p.device_mesh}"
    if not dtensor(p.grad):
        return f"it is {how}, but its gradient is a plain tensor. Make it a DTensor with the same placements."
    if any(place.is_partial() for place in p.placements):
        return f"it is {how}, which holds summands instead of weights. Redistribute it to Shard or Replicate."
    return None


class Team(NamedTuple):
    """Who holds the parts of a tensor together: the dimensions of a mesh over which it is dealt out."""

    mesh: Any
    dims: tuple[int, ...]

    @property
    def groups(self) -> list[Any]:
        """Their process groups: what is summed over one after the other is summed over all of them."""
        return [self.mesh.get_group(d) for d in self.dims]

    @property
    def size(self) -> int:
        """How many processes hold a part."""
        n = 1
        for d in self.dims:
            n *= self.mesh.size(d)
        return n


def team(p: Any) -> Team | None:
    """Who holds the parts of p; None if all of it lies here."""
    if not dtensor(p):
        return None
    mesh = p.device_mesh
    dims = tuple(d for d, how in enumerate(p.placements) if hasattr(how, "dim") and mesh.size(d) > 1)
    return Team(mesh, dims) if dims else None


def spread(
    p: Tensor, state: dict[str, Any], fields: dict[str, bool], shapes: dict[str, Sequence[int]]
) -> dict[str, Any]:
    """State that was made for a DTensor's local part. Fields like the parameter become DTensors as it is, so that
    checkpoints can deal them out anew; those like its sample, where `fields` says True, get the whole sample's shape.
    """
    rooms: dict[Any, list[str]] = {}
    for key in (key for key, sampled in fields.items() if sampled):
        rooms.setdefault((tuple(shapes[key]), state[key].dtype, state[key].device), []).append(key)
    for (shape, dtype, device), keys in rooms.items():  # side by side, as parts that are read together want it
        state |= zip(keys, torch.zeros(len(keys), *shape, dtype=dtype, device=device), strict=True)
    alike = [key for key, sampled in fields.items() if not sampled and p.dim()]
    return state | {key: like(p, state[key]) for key in alike}


def like(p: Any, here: Tensor) -> Any:
    """A DTensor laid out as p whose local part is `here`; of complex weights it has one dimension more."""
    shape = torch.Size([*p.shape, *here.shape[p.dim() :]])
    stride = torch.empty(shape, device="meta").stride()
    return type(p).from_local(here, p.device_mesh, p.placements, run_check=False, shape=shape, stride=stride)


def dealt(p: Tensor, x: Tensor) -> Tensor:
    """A whole tensor like p, as p is laid out: every process keeps its part, nobody is asked."""
    here = x
    for d, axis in enumerate(shard(p).axes[: p.dim()]):
        here = here.index_select(d, axis.to(x.device))
    return like(p, here.contiguous())


def gathered(p: Any, here: Tensor) -> Tensor:
    """The whole of what lies here as p does."""
    return like(p, here).full_tensor()


def shard(p: Any) -> Shard:
    """The part of a DTensor that lies here, seen as `real` sees it."""
    mesh = p.device_mesh
    place, told = mesh.get_coordinate(), team(p)
    cuts = [(how, mesh.size(d), place[d]) for d, how in enumerate(p.placements) if hasattr(how, "dim")]
    shape = (*p.shape, 2) if p.is_complex() else tuple(p.shape) or (1,)
    axes = (held(n, [(_turns(how), *at) for how, *at in cuts if how.dim == d]) for d, n in enumerate(shape))
    return Shard(shape, tuple(axes), told.size if told else 1, partial(gathered, p))


def _turns(how: Any) -> int:
    return int(getattr(how, "split_factor", 1))
