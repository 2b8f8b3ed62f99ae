"""What a checkpoint must hold to be loaded, and loading it to the last bit."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .error import CheckpointError
from .memory import State
from .report import word_of_momentum
from .rule import Rule, ours

Group = dict[str, Any]


def compare(name: str, group: Group, rule: Rule, saved: Group, states: dict[int, State]) -> None:
    """Refuse the state of a group that another rule wrote, before anything is loaded.

    rule: the one that the group will have with the saved options. saved, states: the checkpoint's.
    """
    same_word = word_of_momentum(group) == word_of_momentum(saved)
    for p, i in zip(group["params"], saved["params"], strict=False):  # torch compares their numbers
        given, wanted = _shapes(states.get(i, {})), _shapes(rule.state(p.detach().to("meta")))
        if given and not (same_word and {key: given[key] for key in ours(given)} == wanted):
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


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {key: tuple(getattr(x, "shape", ())) for key, x in state.items()}
