"""K2: what dashboards are told: TensorBoard, Weights & Biases, the Trainer's log, Lightning's loggers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.recipe import Recipe
from conformance.tiny import batches, language_model, matrices, network, sentences
from fallline.integrations.record import record
from fallline.integrations.tensorboard import TensorBoard
from fallline.integrations.wandb import WandB
from host import need
from kit import owned, stream, walk

hosted = pytest.mark.host
lenient = pytest.mark.filterwarnings("default")  # what hosts warn of is their authors' business


class Keeper:
    """A writer that keeps everything."""

    def __init__(self) -> None:
        self.rows, self.texts = dict[int, dict[str, float]](), dict[int, dict[str, str]]()

    def numbers(self, row: Mapping[str, float], step: int) -> None:
        self.rows[step] = dict(row)

    def words(self, row: Mapping[str, str], step: int) -> None:
        self.texts[step] = dict(row)


def walked(recipe: Recipe, steps: int = 5) -> Any:
    """An optimizer with names for its parameters and its two groups."""
    first, *rest = [(f"w{i}", p) for i, p in enumerate(recipe.weights())]
    optimizer = recipe.build([{"params": [first], "name": "first"}, {"params": rest, "lr": 0.001}])
    walk(optimizer, stream(owned(optimizer), steps))
    return optimizer


def test_k2_rows_are_the_report(ours: Recipe) -> None:
    """Non-finite steps and bytes, and of each group what it uses and shows; of one that chooses why."""
    optimizer, keeper = walked(ours), Keeper()
    record(optimizer, keeper)
    told, row, words = optimizer.report(), keeper.rows[5], keeper.texts[5]
    assert (row["skipped"], row["state_bytes"]) == (told["skipped"], told["state_bytes"])
    for name, group, shown in zip(("first", "group1"), told["groups"], optimizer.param_groups, strict=True):
        assert [row[f"{name}/{key}"] for key in ("lr", "effective_lr")] == [group["lr"], group["effective_lr"]]
        assert row[f"{name}/momentum"] == group["momentum"] == shown.get("chosen", group["momentum"])
        assert {*words[f"{name}/route"].split(", ")} <= {"fused", "native", "readable"}
        paid = [row[f"{name}/pay/{candidate}"] for candidate in group.get("candidates", [])]
        assert len(paid) == (len(shown["candidates"]) if ours.chooses else 0)
        if ours.chooses and "pay" in group:
            assert (paid, row[f"{name}/margin"]) == (group["pay"], group["margin"])
            assert words[f"{name}/evidence"] == group["evidence"]
        elif ours.chooses:
            momenta = [one["momentum"] for one in group["parameters"].values()]
            assert row.get(f"{name}/momentum/largest", momenta[0]) == max(momenta)
    assert words["rule"] == told["rule"]
    assert all(type(value) is float for value in row.values())


def test_k2_non_finite_steps_are_counted(ours: Recipe) -> None:
    """A dashboard shows what the console said only once."""
    optimizer, keeper = walked(ours), Keeper()
    for p in owned(optimizer):
        p.grad = torch.full_like(p, float("nan"))
    with pytest.warns(UserWarning, match="not finite"):
        optimizer.step()
    record(optimizer, keeper, step=70)
    assert keeper.rows[70]["skipped"] == 1.0


def test_k2_route_says_how_it_walked(ours: Recipe) -> None:
    """Before the first step none; with foreach the readable one; and a second report still knows."""
    optimizer, keeper = ours.made(foreach=True), Keeper()
    record(optimizer, keeper)
    assert keeper.texts[0]["group0/route"] == "none yet"
    walk(optimizer, stream(owned(optimizer), 1))
    for step in (1, 2):
        record(optimizer, keeper, step=step)
        assert keeper.texts[step]["group0/route"] == "readable"


def test_k2_groups_of_one_name_are_told_apart(ours: Recipe) -> None:
    """timm and others give names that are not unique; then the number counts."""
    first, second, *_ = ours.weights()
    optimizer, keeper = ours.build([{"params": [p], "name": "body"} for p in (first, second)]), Keeper()
    record(optimizer, keeper)
    assert {"group0/lr", "group1/lr"} <= keeper.rows[0].keys()


def test_k2_another_optimizer_is_refused(control: Recipe) -> None:
    """It cannot say what it chose."""
    with pytest.raises(TypeError, match=f"this is {control.kind.__name__}"):
        record(control.made(), Keeper())


def test_k2_no_host_is_imported_unasked() -> None:
    """Neither by the package nor by the writers."""
    script = (
        "import sys, fallline.integrations.record, fallline.integrations.tensorboard, fallline.integrations.wandb; "
        "print(*{'tensorboard', 'wandb', 'transformers', 'pytorch_lightning', 'timm'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@hosted
@lenient
def test_k2_tensorboard_reads_back_what_was_written(ours: Recipe, tmp_path: Path) -> None:
    """Scalars at their steps; words once while they stay the same."""
    need("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    optimizer, keeper = walked(ours), Keeper()
    with SummaryWriter(str(tmp_path)) as board:
        writer = TensorBoard(board)
        for step in (10, 20):
            record(optimizer, writer, keeper, step=step)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {f"fallline/{name}" for name in keeper.rows[20]}
    for name, value in keeper.rows[20].items():
        seen = [(event.step, event.value) for event in events.Scalars(f"fallline/{name}")]
        assert seen == [(10, pytest.approx(value)), (20, pytest.approx(value))]
    assert len(events.Tensors("fallline/rule/text_summary")) == 1


@hosted
@lenient
def test_k2_wandb_keeps_the_rows(tmp_path: Path) -> None:
    """A run that stays on this machine."""
    wandb = need("wandb")
    from conformance.recipe import RECIPES

    run = wandb.init(mode="offline", dir=str(tmp_path), project="fallline")
    optimizer, writer = walked(RECIPES[2]), WandB(run)
    for step in (3, 4):  # the rows of a step are complete when the next one begins
        record(optimizer, writer, step=step)
    shown = dict(run.summary)
    run.finish()
    assert shown["fallline/first/momentum"] in (0.5, 0.9, 0.99)
    assert "Probe" in shown["fallline/rule"]


@hosted
@lenient
def test_k2_trainer_of_transformers_logs_the_report(ours: Recipe, tmp_path: Path) -> None:
    """In its own history, which is saved with checkpoints, and to a writer."""
    transformers = need("transformers")
    from fallline.integrations.transformers import Factory, ReportCallback

    keeper = Keeper()
    run = transformers.Trainer(
        model=language_model(),
        args=quiet(tmp_path, logging_steps=2),
        train_dataset=sentences(),
        optimizer_cls_and_kwargs=(Factory, {"optimizer": ours.build}),
        callbacks=[ReportCallback(keeper)],
    )
    run.train()
    entries = {entry["step"]: entry for entry in run.state.log_history if "loss" in entry}
    assert list(keeper.rows) == list(entries) == [2, 4]
    for step, row in keeper.rows.items():
        assert {name: entries[step][f"fallline/{name}"] for name in row} == row
        assert {*keeper.texts[step]["decay/route"].split(", ")} & {"fused", "native"}


@hosted
@lenient
def test_k2_trainer_refuses_to_report_on_others(control: Recipe, tmp_path: Path) -> None:
    """At the start, in words, not after an epoch."""
    transformers = need("transformers")
    from fallline.integrations.transformers import ReportCallback

    model = language_model()
    matrices_alone = [p for p in model.parameters() if p.ndim == 2]
    run = transformers.Trainer(
        model=model,
        args=quiet(tmp_path),
        train_dataset=sentences(),
        optimizers=(control.build(matrices_alone), None),
        callbacks=[ReportCallback()],
    )
    with pytest.raises(TypeError, match="Only an optimizer of Fallline can report"):
        run.train()


def quiet(folder: Path, **options: Any) -> Any:
    """Four steps on the CPU without ado."""
    kind = need("transformers").TrainingArguments
    common = {"max_steps": 4, "use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no"}
    return kind(output_dir=str(folder), **common, **options)


@hosted
@lenient
def test_k2_lightning_logs_the_report(ours: Recipe, tmp_path: Path) -> None:
    """To every logger, after every so many steps, not batches."""
    lightning = need("pytorch_lightning")
    from conformance.test_f_lightning import loader, seeing, task, trainer
    from fallline.integrations.lightning import ReportCallback

    (logger, said), keeper = seeing(tmp_path), Keeper()
    made = task(ours, matrices())
    callbacks = [ReportCallback(every=2, writer=keeper)]
    trainer(tmp_path, steps=4, logger=logger, callbacks=callbacks, accumulate_grad_batches=2).fit(made, loader(8))
    rows = {row["step"]: row for row in said if "fallline/skipped" in row}
    assert list(rows) == list(keeper.rows) == [2, 4]
    assert lightning.__version__ and rows[4]["fallline/group0/momentum"] == made.inner.report()["groups"][0]["momentum"]
    assert {name.removeprefix("fallline/") for name in rows[4]} == {"step", *keeper.rows[4]}


@hosted
@lenient
def test_k2_lightning_with_several_optimizers(tmp_path: Path) -> None:
    """Rows of each under its number; a writer of one's own would mix them up, and is refused."""
    lightning = need("pytorch_lightning")
    from conformance.test_f_lightning import loader, seeing, trainer
    from fallline import SGD, AdamW
    from fallline.integrations.lightning import ReportCallback

    class Two(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.automatic_optimization = matrices(), False

        def configure_optimizers(self) -> Any:
            first, second = self.model.parameters()
            return [AdamW([first]), SGD([second], momentum="auto")]

        def training_step(self, batch: Any) -> None:
            for optimizer in self.optimizers():
                optimizer.zero_grad()
                self.manual_backward(torch.nn.functional.mse_loss(self.model(batch[0]), batch[1]))
                optimizer.step()

    logger, said = seeing(tmp_path)
    trainer(tmp_path, steps=8, logger=logger, callbacks=[ReportCallback(every=4)]).fit(Two(), loader(4))
    told = set().union(*said)
    assert {"fallline/optimizer0/group0/momentum", "fallline/optimizer1/group0/margin"} <= told
    with pytest.raises(ValueError, match="this Trainer has 2"):
        trainer(tmp_path, callbacks=[ReportCallback(writer=Keeper())]).fit(Two(), loader(4))


@hosted
@lenient
def test_k2_accelerates_wrapper_is_looked_through(ours: Recipe) -> None:
    """`record(accelerator.prepare(optimizer), writer)`."""
    accelerate = need("accelerate")
    model, keeper = network(), Keeper()
    optimizer = accelerate.Accelerator(cpu=True).prepare(ours.build(model.parameters()))
    for x, y in batches(2):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    record(optimizer, keeper)
    assert list(keeper.rows) == [2]
