"""The optimizers that the suite examines: ours, and torch's own as controls, so that a wrong expectation shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import Parameter

from fallline import SGD, AdamW, Greedy, Lion, Muon
from fallline.zoo.routed import Routed
from kit import SHAPES, weights

BANK = (0.5, 0.9, 0.99)
MATRICES = ((5, 4), (3, 3), (2, 6))


@dataclass(frozen=True)
class Recipe:
    """One optimizer as a user would build it: `build(params, **options)` takes torch's names of options."""

    name: str
    ours: bool
    build: Callable[..., Any]
    chooses: bool = False  # whether its momentum chooses itself
    shapes: tuple[Sequence[int], ...] = SHAPES  # parameters that it can move

    def __str__(self) -> str:
        return self.name

    @property
    def kind(self) -> type[torch.optim.Optimizer]:
        """Its class."""
        return getattr(self.build, "func", self.build)

    @property
    def word(self) -> str:
        """Where its momentum is written."""
        return "betas" if "betas" in inspect.signature(self.kind).parameters else "momentum"

    @property
    def routed(self) -> bool:
        """Whether hidden matrices obey a rule of their own, without which it has nothing to do."""
        return issubclass(self.kind, Routed)

    def takes(self, option: str) -> bool:
        """Whether its constructor has such an option."""
        return option in inspect.signature(self.kind).parameters

    def weights(self, dtype: torch.dtype = torch.float32, seed: int = 0) -> list[Parameter]:
        """Parameters that it can move."""
        return weights(self.shapes, dtype, seed)

    def made(self, **options: Any) -> Any:
        """An optimizer on such parameters."""
        return self.build(self.weights(), **options)


RECIPES = (
    Recipe("SGD auto", True, partial(SGD, lr=0.05, momentum="auto"), chooses=True),
    Recipe("AdamW fixed", True, partial(AdamW, lr=0.01)),
    Recipe("AdamW auto", True, partial(AdamW, lr=0.01, betas=("auto", 0.999)), chooses=True),
    Recipe("AdamW full bank", True, partial(AdamW, lr=0.01, betas=(BANK, 0.999), bank="full"), chooses=True),
    Recipe(
        "AdamW each",
        True,
        partial(AdamW, lr=0.01, betas=("auto", 0.999), selector=Greedy(scope="parameter", smoothing=0.9)),
        chooses=True,
    ),
    Recipe("Lion auto", True, partial(Lion, lr=0.003, betas=((0.5, 0.9), 0.99)), chooses=True),
    Recipe("Muon", True, partial(Muon, lr=0.01, roles="by shape")),
    Recipe("Muon auto", True, partial(Muon, lr=0.01, momentum="auto", roles="by shape"), chooses=True),
    Recipe("torch SGD", False, partial(torch.optim.SGD, lr=0.05, momentum=0.9)),
    Recipe("torch AdamW", False, partial(torch.optim.AdamW, lr=0.01)),
    Recipe("torch Muon", False, partial(torch.optim.Muon, lr=0.01), shapes=MATRICES),
)

# Who is asked, by the name of a test's argument.
ASKED: dict[str, list[Recipe]] = {
    "recipe": list(RECIPES),
    "ours": [r for r in RECIPES if r.ours],
    "chooser": [r for r in RECIPES if r.chooses],
    "control": [r for r in RECIPES if not r.ours],
}

# (a line such as "b10", or a test's name without "test_"; a control): why torch fails it. The test runs all the same
# and must fail. None of ours may be here.
TORCH = ("torch SGD", "torch AdamW", "torch Muon")
ALL_OF_TORCH = {
    "a5_groups_are_validated": "torch validates the constructor's numbers, not those of a group",
    "a5_a_groups_momentum_is_validated": "torch validates the constructor's numbers, not those of a group",
    "a8_the_callers_dict_is_left_alone": "torch writes the defaults into the caller's dict, which becomes the group",
    "a12_a_gradient_from_before_the_freeze_does_not_count": "torch moves whatever has a gradient, frozen or not",
    "d5_what_others_keep_there_comes_back_too": "torch casts all state but `step` to the parameter's dtype",
    "d7": "torch's loaded state is the source's own tensors, and steps write into them",
    "g3_half_weights_are_remembered_in_full": "torch's state has the weights' dtype",
    "b10": "torch lets nan and inf into the weights without a word",
}
MUON = "it moves matrices alone, and the Trainer hands over the norms too"
ONE_OF_TORCH = {
    ("e1_written_by_four", "torch Muon"): "it cannot add its update to a shard of a matrix with few rows (torch 2.13)",
    ("e2", "torch AdamW"): "the step that makes state counts: `step` is 1 afterwards",
    ("f2_fsdp2", "torch Muon"): "in torch 2.13 it cannot add its update to a shard of a matrix of one row",
    **{(test, "torch Muon"): MUON for test in ("f1_class_path", "f1_killed", "f1_group_that_decays")},
    (
        "g3_half_weights_without_a_scaler",
        "torch AdamW",
    ): "1e-8 and the squares of small gradients are 0 in float16: the step is infinite",
}
KNOWN = ONE_OF_TORCH | {(test, who): why for test, why in ALL_OF_TORCH.items() for who in TORCH}


def known(test: str, recipe: Recipe | None) -> str | None:
    """Why this test of this recipe is known to fail."""
    words = test.removeprefix("test_").partition("[")[0]
    reasons = (why for (key, who), why in KNOWN.items() if recipe and who == recipe.name and _covers(key, words))
    return next(reasons, None)


def _covers(key: str, words: str) -> bool:
    return words == key or words.startswith(f"{key}_")


def named(recipes: Iterable[Recipe]) -> list[str]:
    """Their names."""
    return [recipe.name for recipe in recipes]
