"""F1: the Trainer of transformers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.recipe import RECIPES, Recipe
from conformance.tiny import language_model, sentences
from fallline import Muon
from host import need
from kit import differences

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]  # what hosts warn of is their authors' business

STEPS, SAVED, KILLED = 8, 3, 5


def arguments(folder: Path) -> Any:
    """Eight steps on the CPU with a schedule, a line of log for each, and a checkpoint after the third."""
    return need("transformers").TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=4,
        learning_rate=0.01,
        weight_decay=0.1,
        warmup_steps=2,
        lr_scheduler_type="cosine",
        logging_steps=1,
        save_steps=SAVED,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    )


def options(recipe: Recipe) -> dict[str, Any]:
    """What the Trainer hands to the class."""
    return dict(recipe.build.keywords)  # type: ignore[attr-defined]


def trainer(folder: Path, made: tuple[Any, dict[str, Any]], model: Any = None, callbacks: Any = ()) -> Any:
    """A Trainer that has not begun."""
    model = language_model() if model is None else model
    kind = need("transformers").Trainer
    return kind(
        model=model,
        args=arguments(folder),
        train_dataset=sentences(),
        optimizer_cls_and_kwargs=made,
        callbacks=list(callbacks),
    )


def losses(run: Any) -> dict[int, float]:
    """The loss of every step."""
    return {entry["step"]: entry["loss"] for entry in run.state.log_history if "loss" in entry}


def weights_of(run: Any) -> dict[str, torch.Tensor]:
    """All parameters by name."""
    return {name: p.detach() for name, p in run.model.named_parameters()}


def test_f1_class_path_trains_and_logs_the_rate(recipe: Recipe, tmp_path: Path) -> None:
    """Two groups, decay and no decay; the loss falls; what the log shows as learning rate is the scheduler's."""
    run = trainer(tmp_path, (recipe.kind, options(recipe)))
    run.train()
    inner = run.optimizer.optimizer
    assert type(inner) is recipe.kind
    assert [group["weight_decay"] for group in inner.param_groups] == [0.1, 0.0]
    assert len(losses(run)) == STEPS
    assert losses(run)[STEPS] < losses(run)[1]
    rates = [entry["learning_rate"] for entry in run.state.log_history if "learning_rate" in entry]
    assert rates[0] < rates[1] > rates[-1]


def test_f1_killed_and_resumed_goes_on_with_equal_losses(recipe: Recipe, tmp_path: Path) -> None:
    """A process that dies by SIGKILL two steps after a checkpoint; its heir repeats the undisturbed run bit by bit."""
    made = (recipe.kind, options(recipe))
    whole = trainer(tmp_path / "whole", made)
    whole.train()
    killed = tmp_path / "killed"
    assert die_in_training(killed, made) == signal.SIGKILL
    checkpoint = killed / f"checkpoint-{SAVED}"
    state = torch.load(checkpoint / "optimizer.pt", weights_only=True)
    assert set(state) == {"state", "param_groups"}
    heir = trainer(killed, made)
    heir.train(resume_from_checkpoint=str(checkpoint))
    assert losses(heir) == losses(whole)
    assert differences(weights_of(heir), weights_of(whole)) == []
    assert differences(numbers(heir), numbers(whole)) == []


def numbers(run: Any) -> list[dict[str, Any]]:
    """What the groups show at the end, choices among it."""
    return [{key: x for key, x in group.items() if key != "params"} for group in run.optimizer.param_groups]


def test_f1_choices_change_on_these_sentences(tmp_path: Path) -> None:
    """Else a resumed run would prove little."""
    adamw = next(r for r in RECIPES if r.name == "AdamW auto")
    run = trainer(tmp_path, (adamw.kind, options(adamw)))
    run.train()
    assert run.optimizer.optimizer.report()["groups"][0]["switches"] > 1


def die_in_training(folder: Path, made: tuple[Any, dict[str, Any]]) -> int:
    """Train in a process of its own until the fifth step, and the signal of which it died."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork a process to kill")

    class Killer(need("transformers").TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == KILLED:
                os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            trainer(folder, made, callbacks=[Killer()]).train()
        finally:
            os._exit(1)  # it got further than it should have; nothing of pytest's may run twice
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def test_f1_group_that_decays_may_be_empty(recipe: Recipe, tmp_path: Path, refused: Callable[[str], None]) -> None:
    """Where only norms learn."""
    if recipe.routed:
        with pytest.raises(ValueError, match="got no hidden matrix"):
            sizes_of_groups(recipe, "norm", tmp_path)
        return refused("a norm of matrices has nothing to do without one")
    assert sizes_of_groups(recipe, "norm", tmp_path)[0] == 0


def test_f1_group_that_does_not_decay_may_be_empty(recipe: Recipe, tmp_path: Path) -> None:
    """Where only matrices learn."""
    assert sizes_of_groups(recipe, "proj", tmp_path)[1] == 0


def sizes_of_groups(recipe: Recipe, learning: str, folder: Path) -> list[int]:
    """Train what has this word in its name, and see that it learns and that the rate is logged."""
    model = language_model()
    for name, p in model.named_parameters():
        p.requires_grad_(learning in name)
    run = trainer(folder, (recipe.kind, options(recipe)), model)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    run.train()
    moved = {name for name, p in model.named_parameters() if not p.equal(start[name])}
    assert moved == {name for name in start if learning in name}
    assert all("learning_rate" in entry for entry in run.state.log_history if "loss" in entry)
    return [len(group["params"]) for group in run.optimizer.param_groups]


def test_f1_factory_path_is_the_class_path_with_names(ours: Recipe, tmp_path: Path) -> None:
    """What is no class is a factory; ours divides like the Trainer, and tells the optimizer the parameters' names."""
    need("transformers")
    from fallline.integrations.transformers import Factory

    plain = trainer(tmp_path / "class", (ours.kind, options(ours)))
    made = trainer(tmp_path / "factory", (Factory, {"optimizer": ours.kind, "weight_decay": 0.1, **options(ours)}))
    plain.train()
    made.train()
    assert [group["name"] for group in made.optimizer.param_groups] == ["decay", "no_decay"]
    names = {p: name for name, p in made.model.named_parameters()}
    for group in made.optimizer.param_groups:
        assert group["param_names"] == [names[p] for p in group["params"]]
    assert losses(made) == losses(plain)
    assert differences(weights_of(made), weights_of(plain)) == []


def test_f1_factory_asks_the_model_for_roles() -> None:
    """Embedding and head are no hidden matrices, whatever their shapes; what you say goes before."""
    model = language_model()
    from fallline.integrations.transformers import Factory

    optimizer = Factory()(model, optimizer=Muon, lr=0.01)
    said = {n: r for g in optimizer.param_groups for n, r in zip(g["param_names"], g["roles"], strict=True)}
    assert said["model.embed_tokens.weight"] == "embedding" and said["lm_head.weight"] == "head"
    assert said["model.layers.0.self_attn.q_proj.weight"] == said["model.layers.0.mlp.down_proj.weight"] == "hidden"
    assert said["model.norm.weight"] == "gain"
    other = Factory()(model, optimizer=Muon, lr=0.01, roles="by shape")
    assert {role for group in other.param_groups for role in group["roles"]} == {"hidden", "other"}


def test_f1_factory_leaves_out_what_does_not_learn() -> None:
    """One group where the other would be empty; torch wants names in all groups or in none."""
    model = language_model()
    from fallline.integrations.transformers import Factory

    for name, p in model.named_parameters():
        p.requires_grad_("norm" in name)
    optimizer = Factory()(model, lr=0.1)
    assert [group["name"] for group in optimizer.param_groups] == ["no_decay"]
    assert all("norm" in name for name in optimizer.param_groups[0]["param_names"])
