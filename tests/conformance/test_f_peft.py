"""F7: LoRA by PEFT: small matrices that learn beside large ones that do not."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
import torch

from conformance.recipe import Recipe
from conformance.tiny import language_model, sentences
from host import need
from kit import differences, owned, snapshot

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]  # what hosts warn of is their authors' business


def adapted(whole: Sequence[str] | None = None) -> Any:
    """A llama whose attention learns through adapters; whole: modules that learn themselves."""
    peft = need("peft")
    targets = ["q_proj", "v_proj"]
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=targets, modules_to_save=whole, lora_dropout=0.0)
    model = language_model()
    torch.manual_seed(1)
    return peft.get_peft_model(model, config)


def train(model: Any, optimizer: Any, steps: int) -> list[float]:
    """Steps on one batch; the losses."""
    data = sentences(4)
    batch = {key: torch.stack([x[key] for x in data]) for key in data[0]}
    said = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        said.append(float(loss.detach()))
    return said


def test_f7_adapters_learn_and_nothing_else(recipe: Recipe) -> None:
    """Given all parameters, it keeps state for those that learn; what is frozen stays as it is."""
    model = adapted()
    given = [p for p in model.parameters() if recipe.kind is not torch.optim.Muon or p.ndim == 2]
    optimizer = recipe.build(given)
    frozen = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
    losses = train(model, optimizer, 12)
    assert losses[-1] < losses[0]
    assert {id(p) for p, held in optimizer.state.items() if held} == {id(p) for p in given if p.requires_grad}
    now = {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}
    assert differences(now, frozen) == []


def test_f7_modules_to_save_are_parameters_like_others(recipe: Recipe) -> None:
    """A head beside the adapters; both move."""
    model = adapted(["lm_head"])
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert any("modules_to_save" in name for name in learning) and any("lora_A" in name for name in learning)
    start = {name: p.detach().clone() for name, p in learning.items()}
    train(model, recipe.build(list(learning.values())), 4)
    moved = [name for name, p in learning.items() if not p.equal(start[name])]
    assert any("modules_to_save" in name for name in moved)
    assert [name for name in learning if "lora_B" in name and name not in moved] == []


def test_f7_each_adapter_may_choose_for_itself(recipe: Recipe) -> None:
    """Names of PEFT reach the report."""
    model = adapted()
    optimizer = recipe.build([(name, p) for name, p in model.named_parameters() if p.requires_grad])
    train(model, optimizer, 4)
    names = optimizer.param_groups[0]["param_names"]
    assert all("lora_" in name for name in names)
    if "selector" in recipe.build.keywords:  # type: ignore[attr-defined]
        assert list(optimizer.report()["groups"][0]["parameters"]) == names


def test_f7_save_and_load_of_adapters(recipe: Recipe) -> None:
    """Adapters' weights by PEFT, the optimizer's state by torch: bit by bit."""
    peft = need("peft")
    model, heir = adapted(), adapted()
    first, second = (recipe.build([p for p in m.parameters() if p.requires_grad]) for m in (model, heir))
    train(model, first, 3)
    peft.set_peft_model_state_dict(heir, peft.get_peft_model_state_dict(model))
    second.load_state_dict(deepcopy(first.state_dict()))  # torch would go on with the very tensors
    train(model, first, 3)
    train(heir, second, 3)
    assert len(owned(first)) == 4
    assert differences(snapshot(second), snapshot(first)) == []
