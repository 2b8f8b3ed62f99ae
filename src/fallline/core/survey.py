"""Survey: what a step finds, and what a plan was made of; looked at in every step, so in as few words as possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import is_, itemgetter
from typing import Any, NamedTuple

from torch import Tensor

from .kernel import dense
from .memory import State

Groups = list[dict[str, Any]]


class Survey(NamedTuple):
    """The parameters that have a gradient, in order, and where everything lies."""

    params: list[Tensor]
    gradients: list[Tensor]
    addresses: list[int]  # of the gradients; these may move
    places: list[Any]  # of the parameters, their sizes, whether their gradients lie likewise, and the groups' flags


def survey(groups: Groups) -> Survey:
    """Look at every parameter; about a microsecond for each."""
    params, gradients = list[Tensor](), list[Tensor]()
    for group in groups:
        for p in group["params"]:
            g = p.grad
            if g is not None and p.requires_grad:
                params.append(p)
                gradients.append(g)
    alike = list(map(dense, params, gradients))
    flags = [(group["foreach"], group["fused"], group["maximize"], len(group["params"])) for group in groups]
    addresses = [g.data_ptr() if at_home else 0 for g, at_home in zip(gradients, alike, strict=True)]
    sizes = map(Tensor.numel, (*params, *gradients))  # kernels trust those of the plan
    odd = [] if all(alike) else [g.layout for g, at_home in zip(gradients, alike, strict=True) if not at_home]
    return Survey(params, gradients, addresses, [*flags, *map(Tensor.data_ptr, params), *sizes, *alike, *odd])


class Ground(NamedTuple):
    """What a plan rests on: places, and the state's very tensors. Gradients may come and go."""

    params: list[Tensor]
    places: list[Any]
    looks: Sequence[Callable[[State], tuple[Any, ...]]]  # what is looked up in the state of each parameter
    held: list[Any]

    def holds(self, found: Survey, state: Any) -> bool:
        """Whether the plan still holds."""
        if len(found.params) != len(self.params) or not all(map(is_, found.params, self.params)):
            return False
        return found.places == self.places and self._untouched(found.params, state)

    def _untouched(self, params: list[Tensor], state: Any) -> bool:
        try:
            seen = chain.from_iterable([look(state[p]) for look, p in zip(self.looks, params, strict=True)])
            return all(map(is_, seen, self.held))
        except KeyError:
            return False


def ground(found: Survey, state: Any) -> Ground:
    """Look at what a new plan rests on; what many parameters share is looked up in the state of the first of them."""
    known: set[int] = set()
    looks = []
    for p in found.params:
        own = [key for key, x in state[p].items() if key != "step" and id(x) not in known]
        known.update(map(id, state[p].values()))
        looks.append(itemgetter("step", *own, "step"))  # two at least: of one it would give no tuple
    held = [x for look, p in zip(looks, found.params, strict=True) for x in look(state[p])]
    return Ground(found.params, found.places, looks, held)
