"""F1 and F3 of averages: what hosts evaluate and save is what is trained, and they go on bit by bit from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.recipe import Recipe
from conformance.test_f_lightning import loader, task
from conformance.test_f_lightning import trainer as lightning
from conformance.test_f_trainer import arguments, losses, weights_of
from conformance.tiny import language_model, matrices, sentences
from fallline import LMOIGT, AdamW, Descent, ScheduleFree, ScheduleFreeAdamW
from host import need
from kit import differences

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]

SAVED = 3
KINDS: dict[str, Callable[..., Descent]] = {
    "schedule-free": lambda p, **_: ScheduleFreeAdamW(p, lr=0.01, warmup_steps=2),
    "around": lambda p, **_: ScheduleFree(AdamW(p, lr=0.01)),
    "lmo-igt": lambda p, **_: LMOIGT(p, lr=0.01, roles="by shape"),
}
kinds = pytest.mark.parametrize("name", KINDS)


def trainer(folder: Path, name: str, callbacks: Any = (), **more: Any) -> Any:
    """A Trainer that has not begun."""
    args = arguments(folder)
    for key, x in more.items():
        setattr(args, key, x)
    model = language_model()
    optimizer = KINDS[name](model.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1.0)
    return need("transformers").Trainer(
        model=model,
        args=args,
        train_dataset=sentences(),
        eval_dataset=sentences(8),
        optimizers=(optimizer, schedule),
        callbacks=list(callbacks),
    )


def saved(folder: Path, step: int) -> dict[str, torch.Tensor]:
    """The model in a checkpoint."""
    found: dict[str, torch.Tensor] = need("safetensors.torch").load_file(
        folder / f"checkpoint-{step}/model.safetensors"
    )
    return found


def averages_of(run: Any) -> dict[str, torch.Tensor]:
    """The weights to evaluate."""
    with run.optimizer.optimizer.averaged():
        return {name: x.clone() for name, x in weights_of(run).items()}


@kinds
@pytest.mark.parametrize("evaluates", [True, False])
def test_f1_saved_after_an_evaluation_or_without_it_goes_on_bit_by_bit(
    name: str, evaluates: bool, tmp_path: Path
) -> None:
    """The Trainer saves between an evaluation and the next step: the model is the average, the rest is beside it."""
    need("transformers")
    from transformers import IntervalStrategy

    from fallline.integrations.transformers import AverageCallback

    more = {"eval_strategy": IntervalStrategy.STEPS, "eval_steps": SAVED} if evaluates else {}
    whole, short = (trainer(tmp_path / part, name, [AverageCallback()], **more) for part in ("whole", "short"))
    short.args.max_steps = SAVED
    whole.train()
    short.train()
    shown = {n: x for n, x in saved(tmp_path / "whole", SAVED).items() if n in averages_of(short)}
    assert differences(shown, {n: averages_of(short)[n] for n in shown}) == []
    heir = trainer(tmp_path / "whole", name, [AverageCallback()], **more)
    heir.train(resume_from_checkpoint=str(tmp_path / f"whole/checkpoint-{SAVED}"))
    assert losses(heir) == losses(whole)
    assert differences(weights_of(heir), weights_of(whole)) == []
    assert differences(weights_of(whole), averages_of(whole)) == []  # the model is left as it is to be used


@kinds
def test_f3_lightning_validates_saves_and_resumes_averages(name: str, tmp_path: Path) -> None:
    """Validation sees the average, so does the file, and the heir repeats the undisturbed run."""
    need("pytorch_lightning")
    from pytorch_lightning.callbacks import ModelCheckpoint

    from fallline.integrations.lightning import AverageCallback

    recipe = Recipe(name, True, KINDS[name])
    seen: list[torch.Tensor] = []

    def run(folder: Path, epochs: int, start: str | None = None, loads: bool = True) -> Any:
        made: Any = task(recipe, matrices())
        kind = type(made)
        kind.validation_step = lambda self, batch, _: seen.append(self.model[0].weight.detach().clone())
        keeps = ModelCheckpoint(folder, save_top_k=-1, filename="{epoch}", save_on_train_epoch_end=not loads)
        fit = lightning(folder, -1, callbacks=[AverageCallback(), keeps], enable_checkpointing=True, max_epochs=epochs)
        data = loader(8)
        checks = loader(1) if loads else None
        fit.fit(made, data, checks, ckpt_path=start)
        return made

    for loads in (True, False):
        seen.clear()
        folder = tmp_path / str(loads)
        half = run(folder / "half", 1, None, loads)
        told = torch.load(folder / "half/epoch=0.ckpt", weights_only=True)
        with half.inner.averaged():
            assert torch.equal(told["state_dict"]["model.0.weight"], half.model[0].weight)
            assert torch.equal(seen[-1], half.model[0].weight) if loads else not seen
        whole = run(folder / "whole", 2, None, loads)
        heir = run(folder / "half", 2, str(folder / "half/epoch=0.ckpt"), loads)
        for mode in (whole.inner.eval, whole.inner.train):
            mode()
            (heir.inner.eval if mode == whole.inner.eval else heir.inner.train)()
            assert differences([p.detach() for p in heir.parameters()], [p.detach() for p in whole.parameters()]) == []
