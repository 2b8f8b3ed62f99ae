"""Survey: what a step finds, and what a plan was made of; looked at in every step, so in as few words as possible."""

from __future__ import annotations

from itertools import chain
from operator import is_
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn import Parameter

from .border import near, near_gradient
from .kernel import dense
from .memory import State

Groups = list[dict[str, Any]]

USUAL = {Tensor, Parameter}
DTYPE, CONTIGUOUS, ADDRESS = Tensor.dtype.__get__, Tensor.is_contiguous, Tensor.data_ptr  # type: ignore[attr-defined]


class Survey(NamedTuple):
    """The parameters that have a gradient, in order, and where everything lies."""

    params: list[Tensor]
    gradients: list[Tensor]  # of sharded parameters what lies here
    addresses: list[int]  # of the gradients; these may move
    places: list[Any]  # the groups' flags, what gradients are, all sizes, how and where everything lies


def survey(groups: Groups) -> Survey:
    """Look at every parameter; about a microsecond for each."""
    params, gradients = list[Tensor](), list[Tensor]()
    for group in groups:
        for p in group["params"]:
            g = p.grad
            if g is not None and p.requires_grad:
                params.append(p)
                gradients.append(g)
    here: list[Any] = params
    if {*map(type, params)} - USUAL:
        here, gradients = list(map(near, params)), list(map(near_gradient, params))
    flags = [(group["foreach"], group["fused"], group["maximize"], len(group["params"])) for group in groups]
    sizes = map(Tensor.numel, (*params, *gradients))  # kernels trust those of the plan
    kinds = [*map(type, gradients), *map(DTYPE, gradients), *sizes]
    try:
        lie = [*map(CONTIGUOUS, gradients), *map(CONTIGUOUS, here)]
        addresses = list(map(ADDRESS, gradients))
    except (RuntimeError, NotImplementedError):  # sparse ones, or of somebody's own making, lie nowhere
        lie = list(map(dense, here, gradients))
        addresses = [ADDRESS(g) if at_home else 0 for g, at_home in zip(gradients, lie, strict=True)]
    return Survey(params, gradients, addresses, [*flags, *kinds, *lie, *map(ADDRESS, here)])


class Ground(NamedTuple):
    """What a plan rests on: places, and the state's very tensors. Gradients may come and go."""

    params: list[Tensor]
    places: list[Any]
    values: list[Any]  # of the state; what is no dict there is a user's
    entries: list[State]
    held: list[Any]  # what is in the entries

    def holds(self, found: Survey, state: Any) -> bool:
        """Whether the plan still holds."""
        same = len(found.params) == len(self.params) and all(map(is_, found.params, self.params))
        return same and found.places == self.places and self._untouched(state)

    def _untouched(self, state: Any) -> bool:
        if len(state) != len(self.values) or not all(map(is_, state.values(), self.values)):
            return False
        same = sum(map(len, self.entries)) == len(self.held)
        return same and all(map(is_, chain.from_iterable(map(dict.values, self.entries)), self.held))


def ground(found: Survey, state: Any) -> Ground:
    """What a new plan rests on."""
    entries = [entry for entry in state.values() if isinstance(entry, dict)]
    held = [x for entry in entries for x in entry.values()]
    return Ground(found.params, found.places, list(state.values()), entries, held)
