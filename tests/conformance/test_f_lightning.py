"""F3: Lightning's Trainer with automatic optimization, which steps with a closure every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import mse_loss

from conformance.recipe import Recipe
from conformance.tiny import batches, matrices
from fallline import Lion
from host import need
from kit import differences, owned, snapshot

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]  # what hosts warn of is their authors' business

STEPS = 8


def task(recipe: Recipe, model: torch.nn.Module, automatic: bool = True, **numbers: Any) -> Any:
    """A LightningModule that trains this model with this recipe, and steps a schedule."""

    class Task(need("pytorch_lightning").LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.automatic_optimization = model, automatic

        def configure_optimizers(self) -> Any:
            self.inner = recipe.build(self.model.parameters(), **numbers)
            schedule = torch.optim.lr_scheduler.LinearLR(self.inner, total_iters=6)
            return {"optimizer": self.inner, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            loss = mse_loss(self.model(batch[0]), batch[1])
            if not automatic:
                optimizer = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
                self.lr_schedulers().step()
            return loss

    return Task()


def trainer(folder: Path, steps: int = STEPS, logger: Any = False, **options: Any) -> Any:
    """A quiet Trainer on the CPU."""
    return need("pytorch_lightning").Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_steps=steps,
        logger=logger,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"enable_checkpointing": False, "max_epochs": -1} | options,
    )


def loader(steps: int) -> Any:
    """The batches as they are, in order."""
    return torch.utils.data.DataLoader(batches(steps), batch_size=None)


def plainly(recipe: Recipe, model: torch.nn.Module, steps: int = STEPS, clip: float | None = None) -> Any:
    """The loop that everyone writes, with the same schedule; the optimizer."""
    optimizer = recipe.build(model.parameters())
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=6)
    for x, y in batches(steps):
        optimizer.zero_grad()
        mse_loss(model(x), y).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        schedule.step()
    return optimizer


def seeing(folder: Path, **options: Any) -> tuple[Any, list[dict[str, float]]]:
    """A logger that keeps what it is told, and the list where."""
    said: list[dict[str, float]] = []

    class Keeper(need("pytorch_lightning").loggers.CSVLogger):  # type: ignore[misc]
        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            said.append({"step": step, **metrics})

    return Keeper(folder, **options), said


def test_f3_automatic_optimization_is_the_plain_loop(recipe: Recipe, tmp_path: Path) -> None:
    """Same parameters, state and numbers to the last bit: the closure runs once per step."""
    run, (plain, mine) = trainer(tmp_path), (matrices(), matrices())
    made = task(recipe, mine)
    run.fit(made, loader(STEPS))
    assert differences(snapshot(made.inner), snapshot(plainly(recipe, plain))) == []


def test_f3_clipping_happens_inside_the_closure(recipe: Recipe, tmp_path: Path) -> None:
    """Before the optimizer looks at the gradient."""
    run, (plain, mine) = trainer(tmp_path, gradient_clip_val=0.01), (matrices(), matrices())
    made = task(recipe, mine)
    run.fit(made, loader(STEPS))
    assert differences(snapshot(made.inner), snapshot(plainly(recipe, plain, clip=0.01))) == []


def test_f3_manual_optimization_is_the_plain_loop(recipe: Recipe, tmp_path: Path) -> None:
    """Through the class that Lightning derives from ours at run time."""
    run, (plain, mine) = trainer(tmp_path), (matrices(), matrices())
    made = task(recipe, mine, automatic=False)
    run.fit(made, loader(STEPS))
    assert type(made.optimizers()).__name__ == f"Lightning{recipe.kind.__name__}"
    assert differences(snapshot(made.inner), snapshot(plainly(recipe, plain))) == []


def test_f3_accumulated_batches_make_one_step(recipe: Recipe, tmp_path: Path) -> None:
    """Half as many steps as batches."""
    run, mine = trainer(tmp_path, accumulate_grad_batches=2, steps=4), matrices()
    made = task(recipe, mine)
    run.fit(made, loader(8))
    assert run.global_step == 4
    assert {int(made.inner.state[p].get("step", 4)) for p in owned(made.inner)} == {4}


def test_f3_checkpoint_goes_on_bit_by_bit(recipe: Recipe, tmp_path: Path) -> None:
    """Two epochs of four steps; who goes on from the first one's checkpoint ends where the undisturbed run does."""
    keeper = need("pytorch_lightning").callbacks.ModelCheckpoint(tmp_path, "{step}", save_top_k=-1)
    keeping = {"enable_checkpointing": True, "callbacks": [keeper]}
    # With max_steps=8 instead of epochs the heir would be given the first epoch's first batch once more (2.6.6).
    epochs = {"steps": -1, "max_epochs": 2}
    whole, heir = task(recipe, matrices()), task(recipe, matrices())
    trainer(tmp_path, **epochs, **keeping).fit(whole, loader(4))
    trainer(tmp_path, **epochs).fit(heir, loader(4), ckpt_path=tmp_path / "step=4.ckpt", weights_only=True)
    assert differences(snapshot(heir.inner), snapshot(whole.inner)) == []


def test_f3_monitor_shows_the_chosen_momentum(recipe: Recipe, tmp_path: Path) -> None:
    """LearningRateMonitor(log_momentum=True) reads what the group shows: of ours the choice of the last step."""
    logger, said = seeing(tmp_path)
    monitor = need("pytorch_lightning").callbacks.LearningRateMonitor(log_momentum=True)
    made = task(recipe, matrices())
    shown = Shown(recipe.word)
    trainer(tmp_path, logger=logger, callbacks=[shown.callback(), monitor]).fit(made, loader(STEPS))
    name = f"lr-{recipe.kind.__name__}"
    assert [row[f"{name}-momentum"] for row in said if f"{name}-momentum" in row] == shown.momenta
    assert [row[name] for row in said if name in row] == shown.rates
    if recipe.chooses:
        assert len(set(shown.momenta)) > 1 or recipe.kind is Lion, "a choice that never changes shows nothing"
        assert made.inner.report()["groups"][0]["momentum"] in made.inner.param_groups[0]["candidates"]


class Shown:
    """What the first group shows before each batch."""

    def __init__(self, word: str) -> None:
        self.word, self.momenta, self.rates = word, list[float](), list[float]()

    def look(self, group: dict[str, Any]) -> None:
        """Note it down."""
        self.momenta.append(group["betas"][0] if self.word == "betas" else group["momentum"])
        self.rates.append(group["lr"])

    def callback(self) -> Any:
        """Lightning's way to be asked."""
        look = self.look

        class Looks(need("pytorch_lightning").Callback):  # type: ignore[misc]
            def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
                look(trainer.optimizers[0].param_groups[0])

        return Looks()


def test_f3_bfloat16_autocast_trains(recipe: Recipe, tmp_path: Path) -> None:
    """precision="bf16-mixed": every step is taken, and nothing becomes infinite."""
    made = task(recipe, model := matrices())
    start = [p.detach().clone() for p in model.parameters()]
    trainer(tmp_path, precision="bf16-mixed").fit(made, loader(STEPS))
    for p, old in zip(model.parameters(), start, strict=True):
        assert p.dtype is torch.float32
        assert p.isfinite().all() and not p.equal(old)
