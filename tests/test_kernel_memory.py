"""Kernels read addresses: memory that moves, lies otherwise, is replaced, or holds what is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import fallline.core.descent
from fallline import AdamW, Descent
from fallline.core.kernel import compiler
from fallline.core.kernel.printed import Printed
from kit import FEW, OPTIMIZERS, differences, feed, owned, readable, snapshot, stream, trained, walk, weights
from routes import agree, assert_near, kinds, pair

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="there is no C compiler")


# --- autograd -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_autograd_notices_a_step(name: str) -> None:
    """A value saved before it is stale, and its backward says so."""
    opt = trained(name, 2)
    p = owned(opt)[0]
    loss, version = p.square().sum(), p._version
    feed(owned(opt), stream(owned(opt), 1)[0])
    opt.step()
    assert p._version > version
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# --- memory that is not plain -------------------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "inside": lambda x: torch.nn.functional.pad(x, (1, 1, 1, 1))[..., 1:-1, 1:-1],
    "unaligned": lambda x: torch.cat([x.new_zeros(1), x.reshape(-1)])[1:].view(x.shape),
    "expanded": lambda x: x[:1].expand(x.shape),
}
SHAPE = (4, 6, 3, 2)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "expanded"])
@pytest.mark.parametrize("name", ["adamw", "full", "sgd-auto"])
def test_gradients_may_lie_otherwise_in_every_step(name: str, layout: str) -> None:
    """The plan follows, whatever the parameters' own layout; no gradient is written to."""
    opt, other = (build([(3,), SHAPE]) for build in (_laid(name, layout), _laid(name, "contiguous", foreach=True)))
    for n, now in enumerate(stream(owned(opt), 14)):
        gradient = LAYOUTS[list(LAYOUTS)[n // 2 % len(LAYOUTS)]]
        for one in (opt, other):
            owned(one)[0].grad, owned(one)[1].grad = now[0].clone(), gradient(now[1])
            one.step()
            assert torch.equal(owned(one)[0].grad, now[0])  # type: ignore[arg-type]
            assert torch.equal(owned(one)[1].grad, gradient(now[1]))  # type: ignore[arg-type]
    assert_near(opt, other)


def _laid(name: str, layout: str, **given: Any) -> Callable[[Any], Descent]:
    def build(shapes: Any) -> Descent:
        small, large = weights(shapes)
        return OPTIMIZERS[name]([{"params": [small, Parameter(LAYOUTS[layout](large.detach()))], **given}])

    return build


@pytest.mark.parametrize("name", ["adamw", "full", "sgd-auto"])
def test_a_checkpoint_of_another_layout_is_read_by_its_places(name: str) -> None:
    """Of a channels-last model into a contiguous one, and back."""
    for there, here in (("channels-last", "contiguous"), ("contiguous", "channels-last"), ("transposed", "contiguous")):
        opt = _laid(name, there)([(3,), SHAPE])
        gradients = stream(owned(opt), 8)
        walk(opt, gradients[:4])
        new = _laid(name, here)([(3,), SHAPE])
        with torch.no_grad():
            for p, q in zip(owned(opt), owned(new), strict=True):
                q.copy_(p)
        new.load_state_dict(opt.state_dict())
        for one in (opt, new):
            walk(one, gradients[4:])
        assert_near(new, opt)


def _swap_weights(opt: Descent) -> None:
    for p in owned(opt):
        p.data = p.data.clone()


def _move_memory(opt: Descent) -> None:
    for entry in opt.state.values():
        entry.update({key: x.clone() for key, x in entry.items()})


def _turn_memory(opt: Descent) -> None:
    """It lies otherwise than the weights."""
    for entry in opt.state.values():
        entry.update({key: x.t().contiguous().t() for key, x in entry.items() if x.shape == (6, 6)})


@pytest.mark.parametrize("change", [_swap_weights, _move_memory, _turn_memory])
@pytest.mark.parametrize("name", ["adamw", "full", "sgd-auto"])
def test_what_was_replaced_between_steps_is_noticed(name: str, change: Callable[[Descent], None]) -> None:
    opt, other = pair(OPTIMIZERS[name], shapes=[(6, 6), (5,)])
    for n, now in enumerate(stream(owned(opt), 9)):
        if n % 2:
            change(opt)
        for one in (opt, other):
            walk(one, [now])
    assert_near(opt, other)


@pytest.mark.parametrize("given", [{}, {"foreach": True}], ids=str)
def test_weights_that_are_turned_where_they_lie_are_noticed(given: dict[str, Any]) -> None:
    """The same address, other strides."""
    opt, other = AdamW(weights([(6, 6)]), lr=0.1, **given), torch.optim.AdamW(weights([(6, 6)]), lr=0.1)
    gradients = stream(owned(opt), 6)
    for one in (opt, other):
        walk(one, gradients[:3])
        owned(one)[0].data = owned(one)[0].data.t()
        walk(one, gradients[3:])
    torch.testing.assert_close(owned(opt)[0], owned(other)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FEW)
def test_sparse_gradients_are_refused_and_nothing_changes(name: str) -> None:
    opt = trained(name)
    before = snapshot(opt)
    feed(owned(opt), stream(owned(opt), 1)[0])
    owned(opt)[1].grad = owned(opt)[1].grad.to_sparse()  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        opt.step()
    assert differences(snapshot(opt), before) == []
    walk(opt, stream(owned(opt), 1))
    assert kinds(opt) == {Printed}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", FEW)
def test_empty_tensors_walk_along(name: str, dtype: torch.dtype) -> None:
    agree(OPTIMIZERS[name], 6, dtype, [(0,), (3,), (0, 4), (), (40,), (2, 0)])


@pytest.mark.parametrize("name", FEW)
def test_the_plan_is_made_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though gradients are freed and made anew in every step, elsewhere in memory."""
    made: list[int] = []
    make = fallline.core.descent.make_plan
    monkeypatch.setattr(fallline.core.descent, "make_plan", lambda *args: made.append(1) or make(*args))
    opt, held, places = OPTIMIZERS[name](weights([(300, 7), (5,)])), [], set()
    for n in range(8):
        opt.zero_grad(set_to_none=True)
        held.append(torch.empty(300, 7))
        sum((p * (p + n)).sum() for p in owned(opt)).backward()  # type: ignore[union-attr]
        places.add(owned(opt)[0].grad.data_ptr())  # type: ignore[union-attr]
        opt.step()
    assert len(places) > 1 and sum(made) == 1


# --- what is not finite -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("at", [0, -1])
def test_a_step_that_is_not_finite_moves_nothing(name: str, value: float, at: int) -> None:
    """One coordinate of one tensor, the first or the last."""
    opt = OPTIMIZERS[name](weights([(5, 4), (70_001,)]))
    walk(opt, stream(owned(opt), 3))
    assert kinds(opt) == {Printed}
    before = snapshot(opt)
    (now,) = stream(owned(opt), 1)
    now[1][at] = value
    with pytest.warns(UserWarning, match="parameter 1 of group 0 is not finite"):
        walk(opt, [now])
    after = snapshot(opt)
    assert all(map(torch.equal, before["params"], after["params"]))
    for old, new in zip(before["state"], after["state"], strict=True):
        assert all(torch.equal(old[key], new[key]) for key in old)
    assert opt.param_groups[0]["skipped"] == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", FEW)
def test_a_sum_that_overflows_is_not_mistaken_for_that(name: str, dtype: torch.dtype) -> None:
    """Every number is finite; on both routes the step is taken."""
    for build in (list, readable):
        opt = OPTIMIZERS[name](build(weights([(5000,), (3,)], dtype)))
        walk(opt, [[torch.full_like(p, 3e38) for p in owned(opt)]])
        assert opt.param_groups[0]["skipped"] == 0 and float(opt.state[owned(opt)[0]]["step"]) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["full", "adamw", "adamw-auto", "each"])
def test_a_square_that_overflows_moves_nothing_in_its_step(name: str, dtype: torch.dtype) -> None:
    """A finite gradient of 1e20 makes v infinite, and the coordinate stands; candidates without weight have no say."""
    opt, other = pair(OPTIMIZERS[name], dtype, [(300,)])
    gradients = stream(owned(opt), 3)
    gradients[2][0][5] = 1e20
    for one in (opt, other):
        walk(one, gradients)
    assert bool(owned(opt)[0].isfinite().all()) and bool(owned(other)[0].isfinite().all())
