"""F2: Accelerate in one process; FSDP2 under it is in test_f_shard.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from conformance.recipe import Recipe
from conformance.tiny import batches, matrices, network
from host import need
from kit import differences, owned, snapshot

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]  # what hosts warn of is their authors' business

Batch = tuple[Tensor, Tensor]


@pytest.fixture
def accelerator() -> Iterator[Callable[..., Any]]:
    """Builds an Accelerator; what it keeps for the whole process is forgotten before and after."""
    accelerate = need("accelerate")
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    yield lambda **options: accelerate.Accelerator(cpu=True, **options)
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


def fit(model: torch.nn.Module, optimizer: Any, data: list[Batch], backward: Callable[[Tensor], None]) -> None:
    """One step for each batch."""
    for x, y in data:
        optimizer.zero_grad()
        backward(mse_loss(model(x), y))
        optimizer.step()


def plainly(model: torch.nn.Module, optimizer: Any, data: list[Batch]) -> None:
    """The loop that everyone writes."""
    fit(model, optimizer, data, lambda loss: loss.backward())


def test_f2_prepare_changes_nothing(recipe: Recipe, accelerator: Callable[..., Any]) -> None:
    """It saves and loads the state at once, on a fresh optimizer and on one that has walked."""
    model = matrices()
    optimizer = recipe.build(model.parameters())
    for steps in (0, 3):
        plainly(model, optimizer, batches(steps))
        optimizer.state_dict()
        before = snapshot(optimizer)
        accelerator().prepare(optimizer)
        assert differences(snapshot(optimizer), before) == []


def test_f2_the_loop_is_the_plain_loop(recipe: Recipe, accelerator: Callable[..., Any]) -> None:
    """Same parameters to the last bit, with a scheduler that Accelerate steps, train() and eval() on the way."""
    host, (plain, mine) = accelerator(), (matrices(), matrices())
    alone = recipe.build(plain.parameters())
    decay = torch.optim.lr_scheduler.LinearLR(alone, total_iters=6)
    model, optimizer, schedule = host.prepare(
        mine, inner := recipe.build(mine.parameters()), torch.optim.lr_scheduler.LinearLR(inner, total_iters=6)
    )
    optimizer.train()
    for batch in batches(8):
        plainly(plain, alone, [batch])
        decay.step()
        fit(model, optimizer, [batch], host.backward)
        schedule.step()
    optimizer.eval()
    assert differences(snapshot(inner), snapshot(alone)) == []


def test_f2_accumulated_gradients_make_one_step(recipe: Recipe, accelerator: Callable[..., Any]) -> None:
    """E9 too: on micro-steps nobody is called, and the choice sees the mean of both halves."""
    host, (plain, mine) = accelerator(gradient_accumulation_steps=2), (matrices(), matrices())
    alone = recipe.build(plain.parameters())
    model, optimizer = host.prepare(mine, inner := recipe.build(mine.parameters()))
    data = batches(8)
    for x, y in data:
        with host.accumulate(model):
            host.backward(mse_loss(model(x), y))
            host.clip_grad_norm_(model.parameters(), 1e6)
            optimizer.step()
            optimizer.zero_grad()
    for first, second in zip(data[::2], data[1::2], strict=True):
        alone.zero_grad()
        for x, y in (first, second):
            (mse_loss(plain(x), y) / 2).backward()
        alone.step()
    assert {int(inner.state[p].get("step", 4)) for p in owned(inner)} == {4}
    torch.testing.assert_close(list(mine.parameters()), list(plain.parameters()))


def test_f2_closures_pass_through(ours: Recipe, accelerator: Callable[..., Any]) -> None:
    """It hands `step` what it was given, by position."""
    host, mine = accelerator(), matrices()
    model, optimizer = host.prepare(mine, ours.build(mine.parameters()))
    (x, y), seen = batches(1)[0], []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = mse_loss(model(x), y)
        host.backward(loss)
        seen.append(loss.detach())
        return loss

    before = [p.detach().clone() for p in mine.parameters()]
    optimizer.step(closure)
    assert len(seen) == 1
    assert all(not p.equal(old) for p, old in zip(mine.parameters(), before, strict=True))


def test_f2_saved_and_loaded_goes_on_bit_by_bit(
    recipe: Recipe, accelerator: Callable[..., Any], tmp_path: Path
) -> None:
    """save_state and load_state into fresh objects."""
    data = batches(8)
    host, mine = accelerator(), matrices()
    model, optimizer = host.prepare(mine, first := recipe.build(mine.parameters()))
    fit(model, optimizer, data[:4], host.backward)
    host.save_state(str(tmp_path))
    fit(model, optimizer, data[4:], host.backward)
    heir, theirs = accelerator(), matrices()
    model, optimizer = heir.prepare(theirs, second := recipe.build(theirs.parameters()))
    heir.load_state(str(tmp_path))
    fit(model, optimizer, data[4:], heir.backward)
    assert differences(snapshot(second), snapshot(first)) == []


def test_f2_bfloat16_autocast_is_torchs(recipe: Recipe, accelerator: Callable[..., Any]) -> None:
    """mixed_precision="bf16": float32 weights whose gradients come from bfloat16 arithmetic."""
    host, (plain, mine) = accelerator(mixed_precision="bf16"), (matrices(), matrices())
    alone = recipe.build(plain.parameters())
    model, optimizer = host.prepare(mine, inner := recipe.build(mine.parameters()))
    fit(model, optimizer, batches(6), host.backward)
    for x, y in batches(6):
        alone.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            predicted = plain(x)
        mse_loss(predicted.float(), y).backward()
        alone.step()
    assert differences(snapshot(inner), snapshot(alone)) == []
    assert all(p.dtype is torch.float32 for p in mine.parameters())


def test_f2_network_with_vectors(ours: Recipe, accelerator: Callable[..., Any]) -> None:
    """Biases too, in two groups of the user's own that stay two."""
    host, mine = accelerator(), network()
    groups = [{"params": [p for p in mine.parameters() if p.ndim == n], "lr": lr} for n, lr in ((2, 0.01), (1, 0.02))]
    model, optimizer = host.prepare(mine, ours.build(groups))
    plainly(model, optimizer, batches(3))
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.02]
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]
