"""Kernels: one pass over memory says what the readable rule says, and torch's own kernels to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from fallline import SGD, Adam, AdamW, Descent
from fallline.core.chunk import Readable
from fallline.core.kernel import compiler
from fallline.core.kernel.fused import Call
from fallline.core.kernel.printed import Printed
from kit import FEW, OPTIMIZERS, differences, owned, snapshot, stream, twins, walk, weights
from routes import NEAR, SHAPES, agree, assert_near, kinds, moving, pair

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="there is no C compiler")


# --- what the readable rule says -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_kernel_says_what_the_rule_says(name: str, dtype: torch.dtype) -> None:
    """To rounding: 1e-5 in float32, 1e-12 in float64, one spacing of bfloat16 weights with float32 memory."""
    opt = agree(OPTIMIZERS[name], 16, dtype)
    assert kinds(opt) == {Printed}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_climbing(name: str) -> None:
    def turned(params: Any) -> Descent:
        opt = OPTIMIZERS[name](params)
        opt.param_groups[0]["maximize"] = True
        return opt

    agree(turned, 8)


@pytest.mark.parametrize("name", FEW)
def test_the_direction_may_be_turned_round_on_the_way(name: str) -> None:
    opt, other = pair(OPTIMIZERS[name])
    gradients = stream(owned(opt), 8)
    for one in (opt, other):
        walk(one, gradients[:4])
        one.param_groups[0]["maximize"] = True
        walk(one, gradients[4:])
    assert_near(opt, other)


@pytest.mark.parametrize(("name", "delay"), [("full", 1), ("late-full", 0), ("adamw-auto", 1), ("late", 0)])
def test_the_delay_may_change_on_the_way(name: str, delay: int) -> None:
    opt, other = pair(OPTIMIZERS[name])
    gradients = stream(owned(opt), 8)
    for one in (opt, other):
        walk(one, gradients[:4])
        one.delay = delay
        walk(one, gradients[4:])
    assert_near(opt, other)


# --- what torch says -----------------------------------------------------------------------------------------------

TORCHS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "adamw": (AdamW, torch.optim.AdamW, {}),
    "adamw-climbing": (AdamW, torch.optim.AdamW, {"maximize": True, "weight_decay": 0.1}),
    "adamw-equal": (AdamW, torch.optim.AdamW, {"betas": (0.9, 0.9), "eps": 0.1, "weight_decay": 0.1}),
    "adamw-quick": (AdamW, torch.optim.AdamW, {"betas": (0.0, 0.99), "weight_decay": 0.0}),
    "adam": (Adam, torch.optim.Adam, {}),
    "adam-coupled": (Adam, torch.optim.Adam, {"weight_decay": 0.1, "betas": (0.3, 0.7), "eps": 1e-3}),
    "adam-climbing": (Adam, torch.optim.Adam, {"weight_decay": 0.1, "maximize": True}),
    "sgd": (SGD, torch.optim.SGD, {}),
    "sgd-decay": (SGD, torch.optim.SGD, {"weight_decay": 0.1, "maximize": True}),
    "momentum": (SGD, torch.optim.SGD, {"momentum": 0.9}),
    "momentum-decay": (SGD, torch.optim.SGD, {"momentum": 0.3, "weight_decay": 0.1, "maximize": True}),
    "dampening": (SGD, torch.optim.SGD, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "damped": (SGD, torch.optim.SGD, {"momentum": 0.9, "dampening": 1.0}),
    "nesterov": (SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "nesterov-climbing": (SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "maximize": True}),
}


@pytest.mark.parametrize("as_tensor", [False, True], ids=["number", "tensor"])
@pytest.mark.parametrize("name", TORCHS)
def test_torchs_kernels_to_the_bit(name: str, as_tensor: bool) -> None:
    """The same kernel, told the same: 30 steps under a scheduler."""
    ours, theirs, given = TORCHS[name]
    ws = weights(SHAPES)
    other = theirs(twins(ws), lr=torch.tensor(0.0123) if as_tensor else 0.0123, fused=True, **given)
    opt = ours(ws, lr=torch.tensor(0.0123) if as_tensor else 0.0123, **given)
    plans = [lr_scheduler.CosineAnnealingLR(each, 40) for each in (opt, other)]
    for now in stream(ws, 30):
        for one, plan in zip((opt, other), plans, strict=True):
            walk(one, [now])
            plan.step()
    assert differences(snapshot(opt)["params"], snapshot(other)["params"]) == []
    assert type(moving(opt)) is Call


@pytest.mark.parametrize(
    "given", [{"weight_decay": 0.1234567890123456}, {"betas": (0.3, 0.7)}, {"weight_decay": 1e-13}]
)
def test_torchs_kernels_in_float64(given: dict[str, Any]) -> None:
    """The numbers that torch's kernel is told are those of the optimizer, to the last few bits."""
    ws = weights(dtype=torch.float64)
    opt, other = AdamW(ws, lr=0.5, **given), torch.optim.AdamW(twins(ws), lr=0.5, fused=True, **given)
    for one in (opt, other):
        walk(one, stream(ws, 12))
    for p, q in zip(owned(opt), owned(other), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("lr", [1e-12, 1e-15, 1e-18])
@pytest.mark.parametrize("name", ["adamw-auto", "sgd-auto", "adamw", "adam"])
def test_a_small_learning_rate_is_not_rounded_away(name: str, lr: float) -> None:
    """As warm-ups begin: a parameter at 0 shows all digits of its steps."""

    def small(params: Any) -> Descent:
        opt = OPTIMIZERS[name](params)
        opt.param_groups[0]["lr"] = lr
        return opt

    opt, other = pair(small)
    with torch.no_grad():
        for p in (*owned(opt), *owned(other)):
            p.zero_()
    gradients = stream(owned(opt), 4)
    walk(opt, gradients)
    walk(other, gradients)
    for p, q in zip(owned(opt), owned(other), strict=True):
        torch.testing.assert_close(p / lr, q / lr, rtol=1e-4, atol=1e-5)


# --- fused, foreach ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sgd", "adamw", "lion", "sgd-auto", "adamw-auto"])
@pytest.mark.parametrize(
    ("options", "kind"),
    [({}, Printed), ({"fused": True}, Printed), ({"fused": False}, Readable), ({"foreach": True}, Readable)],
    ids=str,
)
def test_the_route_is_the_one_that_was_asked_for(name: str, options: dict[str, Any], kind: type) -> None:
    opt = OPTIMIZERS[name]([{"params": weights(), **options}])
    walk(opt, stream(owned(opt), 2))
    assert kinds(opt) == {kind}


def test_every_group_has_its_own_route() -> None:
    """And it may change on the way."""
    flags: list[dict[str, Any]] = [{"fused": True}, {"fused": False}, {"foreach": True}, {"foreach": False}, {}]
    opt = AdamW([{"params": weights([(5, 4), (3,)], seed=n), **flag} for n, flag in enumerate(flags)], lr=0.1)
    other = AdamW([{"params": weights([(5, 4), (3,)], seed=n)} for n in range(5)], lr=0.1, foreach=True)
    gradients = stream(owned(opt), 4)
    for one in (opt, other):
        walk(one, gradients[:2])
    found = {id(chunk.group): type(chunk.route) for chunk in opt._plan.chunks}  # type: ignore[union-attr]
    assert [found[id(g)] for g in opt.param_groups] == [Printed, Readable, Readable, Readable, Printed]
    opt.param_groups[1]["fused"] = None
    for one in (opt, other):
        walk(one, gradients[2:])
    found = {id(chunk.group): type(chunk.route) for chunk in opt._plan.chunks}  # type: ignore[union-attr]
    assert found[id(opt.param_groups[1])] is Printed
    assert_near(opt, other)
