"""What a state must hold to be gone on with: a checkpoint's, or that of a rule which has changed on the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Parameter

from .accord import complete
from .border import Team, dealt, dtensor, shard, team
from .error import CheckpointError
from .evaluation import check_whole
from .memory import State
from .rule import SLOTS, Rule, ours
from .section import Section, owned, recipe
from .shard import Sampled

if TYPE_CHECKING:
    from .descent import Descent

Group = dict[str, Any]
Sections = Callable[[Group], list[Section]]


FORMAT = 1  # of checkpoints


@contextmanager
def loading(opt: Descent) -> Iterator[None]:
    """Compare what torch is about to load, and put back afterwards what torch does not keep.

    Hooks of torch's do both, so that users' hooks come before the first and after the second.
    """
    saved: dict[str, Any] = {}

    def look(_: Any, given: dict[str, Any]) -> dict[str, Any]:
        if _sizes(given["param_groups"]) != _sizes(opt.param_groups):
            return given  # torch says so
        found = given | {"param_groups": assigned(opt.param_groups, given["param_groups"])}
        check_whole(given["param_groups"], given["state"])
        for i, (group, told) in enumerate(zip(opt.param_groups, found["param_groups"], strict=False)):
            compare(type(opt).__name__, i, group, opt.sections, told, given["state"])
        if found["param_groups"] != given["param_groups"]:
            warnings.warn("The checkpoint says no roles; those given here are kept.", stacklevel=4)
        saved.update(found)
        return found

    def put_back(_: Any) -> None:
        restore(opt.state, saved, opt._sections())

    hooks = [
        opt.register_load_state_dict_pre_hook(look),
        opt.register_load_state_dict_post_hook(put_back, prepend=True),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def assigned(groups: list[Group], saved: list[Group]) -> list[Group]:
    """Saved groups, after a look at their roles: other ones are refused; where there are none, ours are kept."""
    found = list(saved)
    for i, (group, told) in enumerate(zip(groups, saved, strict=False)):
        if "roles" in group and "roles" not in told:
            found[i] = told | {"roles": group["roles"]}
        elif "roles" in group:
            _same_roles(i, group, told["roles"])
    return found


def _same_roles(number: int, group: Group, saved: Sequence[str]) -> None:
    names = group.get("param_names") or [f"parameter {i} of group {number}" for i in range(len(group["params"]))]
    for name, here, there in zip(names, group["roles"], saved, strict=False):  # torch compares how many there are
        if here != there:
            raise CheckpointError(
                f"The checkpoint has {name} as {there!r}, but here it is {here!r}; nothing was loaded. Say the same "
                "roles as then, or delete 'roles' from the checkpoint's param_groups to go on with those given here."
            )


def _sizes(groups: list[Group]) -> list[int]:
    return [len(group["params"]) for group in groups]


def compare(name: str, number: int, group: Group, sections: Sections, saved: Group, states: dict[int, State]) -> None:
    """Refuse the state of a group that another rule or a newer Fallline wrote, before anything is loaded.

    number: of the group. sections: makes those that it will have with the saved options. saved, states: the
    checkpoint's.
    """
    if saved.get("format", FORMAT) > FORMAT:
        raise CheckpointError(
            f"The checkpoint has format {saved['format']}; this Fallline reads {FORMAT} and older. Install a newer one."
        )
    try:
        made = sections({**group, **saved, "params": group["params"]})
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(
            f"The checkpoint's options, written by {saved.get('recipe', 'another optimizer')}, are none of {name}'s: "
            f"{error} Construct the optimizer as it was when it was saved."
        ) from error
    if saved.get("recipe", recipe(made)) != recipe(made):
        raise CheckpointError(
            f"The checkpoint's state of {_title(number, group)} was written by {saved['recipe']}, but {name} is "
            f"{recipe(made)} there. "
            "Construct the optimizer as it was when it was saved."
        )
    for (p, rule), i in zip(owned(made), saved["params"], strict=False):  # torch compares their numbers
        if not dtensor(p) and any(map(dtensor, states.get(i, {}).values())):
            raise CheckpointError(
                f"The checkpoint holds only a part of what was remembered of parameter {i} (DTensors), but here it is "
                "whole. Go through torch.distributed.checkpoint, which deals out anew, or ask for full_state_dict=True."
            )
        given, wanted = _shapes(states.get(i, {})), _wanted(rule, tuple(p.shape), p.dtype)
        if given and {key: given[key] for key in ours(given)} != wanted:
            raise CheckpointError(
                f"The checkpoint's state of parameter {i} holds {given}, but {name} with {rule} keeps {wanted}. "
                "Construct the optimizer as it was when it was saved."
            )


def _title(number: int, group: Group) -> str:
    """A group by its number and its parameters' names, as many as fit into a sentence."""
    names = list(map(repr, group.get("param_names", ())))
    more = ["..."] if len(names) > 5 else []
    return f"group {number} ({', '.join(names[:5] + more) or str(len(group['params'])) + ' parameters'})"


def restore(state: Any, saved: dict[str, Any], sections: list[Section]) -> None:
    """Put back saved state exactly: torch casts all but `step` to the parameter's dtype, and aliases the source."""
    indices = [i for group in saved["param_groups"] for i in group["params"]]
    for (p, rule), i in zip(owned(sections), indices, strict=True):
        fields = rule.layout(p.dtype.to_real()).fields if dtensor(p) else {}
        for key, value in saved["state"].get(i, {}).items():
            x = value.detach().clone().to(p.device) if isinstance(value, Tensor) else value
            whole = key in fields and not fields[key][1] and not dtensor(x) and p.dim()
            state[p][key] = dealt(p, x) if whole else x


def assemble(sections: list[Section], state: Any) -> None:
    """Make samples whole that are spread over processes: all that hold parts of a tensor must ask together."""
    found: dict[Team, list[tuple[Tensor, Sampled]]] = {}
    for p, rule in owned(sections):
        if (others := team(p)) and state.get(p):
            found.setdefault(others, []).extend((state[p][key], place) for key, place in _samples(rule, p))
    complete(found)


def _samples(rule: Rule, p: Tensor) -> Iterator[tuple[str, Sampled]]:
    """What a sharded parameter's state remembers of a sample, and which of it lies here."""
    place = shard(p)
    for key, (_, sampled) in rule.layout(p.dtype.to_real()).fields.items():
        part = rule.choosers.get(key.partition(".")[0])
        if sampled and part and (runs := part.runs(place.size)):
            yield key, place.sampled(runs)


def forget(state: Any, groups: list[Group]) -> None:
    """Drop the state of parameters that are in no group any more and never walked.

    Accelerate saves and loads a fresh optimizer's state, and exchanges all parameters for shards afterwards: what was
    made for the old ones would stay in memory, and torch cannot save it.
    """
    owned = {id(p) for group in groups for p in group["params"]}
    orphans = [p for p in state if isinstance(p, Tensor) and id(p) not in owned]
    for p in orphans:
        if state[p].get("step", 1) == 0:
            del state[p]


def form(state: State) -> dict[str, Any]:
    """Which keys of ours a state holds, in which dtypes."""
    return {key: getattr(state[key], "dtype", None) for key in ours(state)}


@lru_cache(maxsize=256)
def wanted_form(rule: Rule, dtype: torch.dtype) -> dict[str, Any]:
    """The form that a rule's states have for weights of a dtype; raises for weights that the rule cannot move."""
    return form(rule.state(rule.example(dtype, device="meta")))


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
