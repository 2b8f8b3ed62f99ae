"""G: mixed precision."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from conformance.recipe import Recipe
from kit import differences, feed, owned, snapshot, stream, walk


def test_g1_a_scaler_is_not_noticed(recipe: Recipe) -> None:
    """It takes its scale out before the step, and where it finds infinity there is no step at all."""
    scaled, plain = recipe.made(), recipe.made()
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    for n, now in enumerate(stream(owned(scaled), 6)):
        feed(owned(scaled), [g * (torch.inf if n == 3 else scaler.get_scale()) for g in now])
        scaler.scale(torch.ones(()))  # the scaler wakes at its first use
        scaler.step(scaled)
        scaler.update()
        walk(plain, [now] if n != 3 else [])
    assert differences(snapshot(scaled), snapshot(plain)) == [] and scaler.get_scale() == 32.0


def test_g1_a_scaler_and_clipping_in_between(recipe: Recipe) -> None:
    """unscale_, clip, step: as every recipe for mixed precision has it."""
    scaled, plain = recipe.made(), recipe.made()
    scaler = torch.amp.GradScaler("cpu", init_scale=128.0)
    for now in stream(owned(scaled), 4):
        feed(owned(scaled), [g * 128.0 for g in now])
        feed(owned(plain), now)
        scaler.scale(torch.ones(()))
        scaler.unscale_(scaled)
        for opt in (scaled, plain):
            torch.nn.utils.clip_grad_norm_(owned(opt), 1.0)
        scaler.step(scaled)
        scaler.update()
        plain.step()
    assert differences(snapshot(scaled), snapshot(plain)) == []


def test_g1_a_scaler_hands_on_a_closure_by_place(recipe: Recipe) -> None:
    opt, scaler = recipe.made(), torch.amp.GradScaler("cpu", init_scale=2.0)
    feed(owned(opt), stream(owned(opt), 1)[0])
    scaler.scale(torch.ones(()))
    assert scaler.step(opt, lambda: 3.0) == 3.0


def test_g2_found_inf_is_the_scalers_or_obeyed(recipe: Recipe) -> None:
    """Who says that he deals with scaled gradients reads the attributes; step never takes a scaler."""
    assert "grad_scaler" not in inspect.signature(recipe.kind.step).parameters
    opt = recipe.made(**({"fused": True} if recipe.kind is torch.optim.AdamW else {}))
    walk(opt, stream(owned(opt), 2))
    if recipe.kind is not torch.optim.AdamW:
        assert not hasattr(opt, "_step_supports_amp_scaling")  # so the scaler unscales, and does not call us
        return
    before = snapshot(opt)["params"]
    feed(owned(opt), [torch.full_like(p, torch.inf) for p in owned(opt)])
    opt.grad_scale, opt.found_inf = torch.tensor(64.0), torch.tensor(1.0)
    opt.step()
    assert differences(snapshot(opt)["params"], before) == []


def tensors(opt: Any) -> list[Tensor]:
    """What is remembered beside clocks."""
    return [x for p in owned(opt) for key, x in opt.state[p].items() if key != "step" and isinstance(x, Tensor)]


def test_g3_half_weights_without_a_scaler(recipe: Recipe) -> None:
    """Gradients whose square is 0 in float16 move the weights by finite steps."""
    opt = recipe.build(recipe.weights(torch.float16))
    before = [p.detach().clone() for p in owned(opt)]
    for _ in range(3):
        walk(opt, [[torch.full_like(p, 1e-5) for p in owned(opt)]])
    for p, q in zip(owned(opt), before, strict=True):
        assert bool(p.isfinite().all()) and float((p.detach() - q).abs().max()) < 0.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_g3_half_weights_are_remembered_in_full(recipe: Recipe, dtype: torch.dtype) -> None:
    opt = recipe.build(recipe.weights(dtype))
    walk(opt, stream(owned(opt), 2))
    assert tensors(opt) and {x.dtype for x in tensors(opt)} <= {torch.float32, torch.float64}
