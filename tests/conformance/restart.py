"""Another process: loads what the first one saved, goes on with training, and saves where it came to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch.nn import Parameter

from conformance.recipe import RECIPES, Recipe
from kit import owned, snapshot, stream, walk

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BEFORE, AFTER = 7, 6


def begun(recipe: Recipe, dtype: str) -> Any:
    """An optimizer after some steps, with a second group that began later and has a frozen parameter."""
    opt = recipe.build(recipe.weights(DTYPES[dtype]))
    walk(opt, stream(owned(opt), 3))
    late = recipe.weights(DTYPES[dtype], seed=4)[:2]
    late[1].requires_grad_(False)
    opt.add_param_group({"params": late, "lr": 0.02})
    gradients = stream(owned(opt), BEFORE - 3, seed=2)
    walk(opt, [[*now[:-1], None] for now in gradients])
    return opt


def gone_on(opt: Any) -> dict[str, Any]:
    """Parameters and state after more steps."""
    walk(opt, [[*now[:-1], None] for now in stream(owned(opt), AFTER, seed=7)])
    taken = snapshot(opt)
    return {"params": taken["params"], "state": taken["state"]}


def loaded(recipe: Recipe, saved: dict[str, Any], **options: Any) -> Any:
    """A new optimizer on the saved parameters, with the saved state."""
    ws = [Parameter(p, requires_grad=trained) for p, trained in zip(saved["params"], saved["trained"], strict=True)]
    opt = recipe.build([{"params": ws[:-2]}, {"params": ws[-2:], "lr": 0.02}], **options)
    opt.load_state_dict(saved["state"])
    return opt


def main(folder: Path) -> None:
    """Go on from every checkpoint and from every pickle."""
    recipes = {recipe.name: recipe for recipe in RECIPES}
    for file in folder.glob("*.before"):
        name = file.stem.partition(",")[0]
        saved = torch.load(file, weights_only=True)
        pickled = torch.load(file.with_suffix(".pickle"), weights_only=False)
        ends = {"checkpoint": gone_on(loaded(recipes[name], saved)), "pickle": gone_on(pickled)}
        torch.save(ends, file.with_suffix(".after"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
