"""What a state must hold to be gone on with: a checkpoint's, or that of a rule which has changed on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from .error import CheckpointError
from .memory import State
from .rule import SLOTS, Rule, ours

Group = dict[str, Any]


FORMAT = 1  # of checkpoints


def compare(name: str, group: Group, sentence: Callable[[Group], Rule], saved: Group, states: dict[int, State]) -> None:
    """Refuse the state of a group that another rule or a newer Fallline wrote, before anything is loaded.

    sentence: makes the rule that the group will have with the saved options. saved, states: the checkpoint's.
    """
    if saved.get("format", FORMAT) > FORMAT:
        raise CheckpointError(
            f"The checkpoint has format {saved['format']}; this Fallline reads {FORMAT} and older. Install a newer one."
        )
    try:
        rule = sentence({**group, **saved})
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(
            f"The checkpoint's options, written by {saved.get('recipe', 'another optimizer')}, are none of {name}'s: "
            f"{error} Construct the optimizer as it was when it was saved."
        ) from error
    if saved.get("recipe", rule.recipe) != rule.recipe:
        raise CheckpointError(
            f"The checkpoint's state was written by {saved['recipe']}, but {name} is {rule.recipe}. "
            "Construct the optimizer as it was when it was saved."
        )
    for p, i in zip(group["params"], saved["params"], strict=False):  # torch compares their numbers
        given, wanted = _shapes(states.get(i, {})), _shapes(rule.state(p.detach().to("meta")))
        if given and {key: given[key] for key in ours(given)} != wanted:
            raise CheckpointError(
                f"The checkpoint's state of parameter {i} holds {given}, but {name} with {rule} keeps {wanted}. "
                "Construct the optimizer as it was when it was saved."
            )


def restore(state: Any, groups: list[Group], saved: dict[str, Any]) -> None:
    """Put back saved state exactly: torch casts all but `step` to the parameter's dtype, and aliases the source."""
    params = [p for group in groups for p in group["params"]]
    indices = [i for group in saved["param_groups"] for i in group["params"]]
    for p, i in zip(params, indices, strict=True):
        for key, value in saved["state"].get(i, {}).items():
            state[p][key] = value.detach().clone().to(p.device) if isinstance(value, Tensor) else value


def form(state: State) -> dict[str, Any]:
    """Which keys of ours a state holds, in which dtypes."""
    return {key: getattr(state[key], "dtype", None) for key in ours(state)}


def forms(rule: Rule, params: Iterable[Tensor]) -> dict[torch.dtype, dict[str, Any]]:
    """The form that a rule's states have, by the weights' dtype; raises for weights that the rule cannot move."""
    dtypes = dict.fromkeys(p.dtype for p in params if p.requires_grad)
    return {dtype: form(rule.state(torch.empty(1, dtype=dtype, device="meta"))) for dtype in dtypes}


def carry(rule: Rule, p: Tensor, held: State) -> State:
    """The state of a parameter whose rule has changed: a slot that remembers other things starts afresh."""
    fresh = rule.state(p)
    same = {slot for slot in (*SLOTS, "step") if _shapes(_slot(fresh, slot)) == _shapes(_slot(held, slot))}
    kept = {key: x for key, x in held.items() if key not in ours(held) or key.partition(".")[0] in same}
    return fresh | {key: torch.as_tensor(x).to(fresh[key]) if key in fresh else x for key, x in kept.items()}


def check_shapes(rule: Rule, p: Tensor, states: Any) -> None:
    """Refuse weights whose shape is no longer the one that their state was made for; a kernel would write beside it."""
    if type(p) not in (Parameter, Tensor) or p not in states:
        return  # a subclass answers for its own shapes, and no kernel takes it
    wanted = _wanted(rule, tuple(p.shape), p.dtype)
    for key, x in states[p].items():
        if key in wanted and tuple(getattr(x, "shape", ())) != wanted[key]:
            raise RuntimeError(
                f"A parameter has shape {tuple(p.shape)}, but its state {key!r} has {tuple(x.shape)} instead of "
                f"{wanted[key]}: the weights or their state were replaced. Delete opt.state[p] to let it start afresh."
            )


@lru_cache(maxsize=1024)
def _wanted(rule: Rule, shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, tuple[int, ...]]:
    return _shapes(rule.state(torch.empty(shape, dtype=dtype, device="meta")))


def _slot(state: State, slot: str) -> State:
    return {key: x for key, x in state.items() if key.partition(".")[0] == slot}


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {key: tuple(getattr(x, "shape", ())) for key, x in state.items()}
