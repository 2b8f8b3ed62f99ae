"""The callbacks of Lightning and of the transformers Trainer: rows while they train, a report in the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.tiny import language_model, sentences
from host import need

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]  # what hosts warn of is their authors' business

STEPS = 40


class Writer:
    """Keeps rows by step."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, float]] = {}

    def numbers(self, row: Any, step: int) -> None:
        self.rows[step] = dict(row)

    def words(self, row: Any, step: int) -> None:
        assert set(row) == {"alarms"}


def loader() -> Any:
    x = torch.randn(8 * STEPS, 6, generator=torch.Generator().manual_seed(1))
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8)


def lightning(folder: Path, callbacks: list[Any], breaks: int | None = None) -> tuple[Any, list[dict[str, float]]]:
    """A trained module, and what its logger was told."""
    host = need("pytorch_lightning")
    said: list[dict[str, float]] = []

    class Keeper(host.loggers.CSVLogger):  # type: ignore[misc]
        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            said.append({"step": step, **metrics})

    class Task(host.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.model = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.Tanh(), torch.nn.Linear(12, 1))

        def training_step(self, batch: Any, at: int) -> torch.Tensor:
            if at == breaks:
                raise ArithmeticError("broken")
            return torch.nn.functional.mse_loss(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    logger = Keeper(folder)
    trainer = host.Trainer(
        max_epochs=1, accelerator="cpu", default_root_dir=folder, logger=logger, callbacks=callbacks, **quiet
    )
    trainer.fit(task := Task(), loader())
    return task, said


def test_lightning_logs_rows_and_writes_a_report(tmp_path: Path) -> None:
    need("pytorch_lightning")
    from fallline.integrations.lightning import ListenCallback

    writer = Writer()
    listener = ListenCallback(window=4, batch=8, log_every=16, out=tmp_path / "out", writer=writer)
    task, said = lightning(tmp_path, [listener])
    told = {row["step"]: row for row in said if "listen/total/noise_scale" in row}
    assert set(told) == set(writer.rows) == {16, 32}
    assert told[32]["listen/total/lr"] == 0.01
    assert listener.ear.steps == STEPS and set(listener.outcome.heard.parameters) == {
        name for name, _ in task.named_parameters()
    }
    assert json.loads((tmp_path / "out" / "Task.json").read_text())["heard"]["steps"] == STEPS
    assert (tmp_path / "out" / "Task.html").exists()
    alone, _ = lightning(tmp_path, [])
    assert all(map(torch.equal, task.parameters(), alone.parameters()))


def test_lightning_reports_what_was_heard_before_it_broke(tmp_path: Path) -> None:
    need("pytorch_lightning")
    from fallline.integrations.lightning import ListenCallback

    listener = ListenCallback(window=4, log_every=None, out=tmp_path / "out")
    with pytest.raises(ArithmeticError):
        lightning(tmp_path, [listener], breaks=20)
    assert (tmp_path / "out" / "Task.json").exists() and listener.ear.steps == 20
    with pytest.raises(ValueError, match="Invalid log_every: 0"):
        ListenCallback(log_every=0)


def test_the_trainer_logs_rows_and_writes_a_report(tmp_path: Path) -> None:
    host = need("transformers")
    from fallline.integrations.transformers import ListenCallback

    def train(callbacks: list[Any]) -> Any:
        options = host.TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=STEPS,
            logging_steps=8,
            per_device_train_batch_size=4,
            learning_rate=1e-2,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = host.Trainer(language_model(), options, train_dataset=sentences(), callbacks=callbacks)
        trainer.train()
        return trainer

    writer = Writer()
    listener = ListenCallback(window=4, batch=4, log_every=16, out=tmp_path / "out", writer=writer)
    trainer = train([listener])
    told = {one["step"]: one for one in trainer.state.log_history if "listen/total/noise_scale" in one}
    assert set(told) == set(writer.rows) == {16, 32}
    assert told[32]["listen/alarms"] and "loss" in told[32]
    assert listener.ear.steps == STEPS
    assert (tmp_path / "out" / "LlamaForCausalLM.html").exists()
    assert all(map(torch.equal, trainer.model.parameters(), train([]).model.parameters()))
    with pytest.raises(ValueError, match="Invalid log_every"):
        ListenCallback(log_every=-1)
