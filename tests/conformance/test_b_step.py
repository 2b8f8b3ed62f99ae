"""B: step()."""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from conformance.recipe import MATRICES, Recipe
from fallline import NonFiniteError
from kit import differences, feed, owned, snapshot, stream, twins, walk, weights

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "place": lambda opt, f: opt.step(f),
    "keyword": lambda opt, f: opt.step(closure=f),
}


def numbers(opt: torch.optim.Optimizer) -> list[Tensor]:
    """Where the parameters are."""
    return [p.detach().clone() for p in owned(opt)]


# --- B1 to B4: the call -------------------------------------------------------------------------------------------


def test_b1_the_closure_is_the_first_and_may_be_left_out(recipe: Recipe) -> None:
    itself, closure, *rest = inspect.signature(recipe.kind.step).parameters.values()
    assert (itself.name, closure.name, closure.default) == ("self", "closure", None)
    assert all(one.kind is one.KEYWORD_ONLY for one in rest)


@pytest.mark.parametrize("call", CALLS)
def test_b1_by_place_and_by_keyword(recipe: Recipe, call: str) -> None:
    opt = recipe.made()
    feed(owned(opt), stream(owned(opt), 1)[0])
    before = numbers(opt)
    assert CALLS[call](opt, lambda: 2.5) == 2.5 and differences(numbers(opt), before)


@pytest.mark.parametrize("call", CALLS)
def test_b2_the_closure_runs_once_with_gradients(recipe: Recipe, call: str) -> None:
    """Its value comes back as the very object."""
    opt = recipe.made()
    seen: list[Tensor] = []

    def closure() -> Tensor:
        opt.zero_grad()
        seen.append(torch.stack([p.square().sum() for p in owned(opt)]).sum())
        seen[-1].backward()
        return seen[-1]

    before = numbers(opt)
    with torch.no_grad():
        loss = CALLS[call](opt, closure)
    assert len(seen) == 1 and loss is seen[0] and loss.requires_grad and differences(numbers(opt), before)


def test_b2_without_a_closure_nothing_comes_back(recipe: Recipe) -> None:
    opt = recipe.made()
    feed(owned(opt), stream(owned(opt), 1)[0])
    assert opt.step() is None


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Global hooks that write down when they are called."""
    calls: list[str] = []
    before = register_optimizer_step_pre_hook(lambda *_: calls.append("global-pre"))
    after = register_optimizer_step_post_hook(lambda *_: calls.append("global-post"))
    yield calls
    before.remove()
    after.remove()


def test_b3_hooks_fire_once_in_torchs_order(recipe: Recipe, heard: list[str]) -> None:
    opt = recipe.made()
    opt.register_step_pre_hook(lambda *_: heard.append("pre"))
    opt.register_step_post_hook(lambda *_: heard.append("post"))
    opt.step(lambda: heard.append("step"))
    assert heard == ["global-pre", "pre", "step", "post", "global-post"]


def test_b3_a_hook_may_change_the_closure(recipe: Recipe) -> None:
    opt = recipe.made()
    opt.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7.0), {}))
    assert opt.step(lambda: 1.0) == 7.0


def test_b4_step_is_a_method_of_the_class(recipe: Recipe) -> None:
    opt = recipe.made()
    assert "step" not in vars(opt) and type(opt).step.hooked and opt.step.__func__ is type(opt).step


def test_b4_schedulers_and_accelerate_may_wrap_it(recipe: Recipe) -> None:
    """One after the other; the scheduler knows then that a step was taken, and does not warn."""
    opt = recipe.made()
    scheduler = lr_scheduler.ExponentialLR(opt, 0.5)
    inner, calls = opt.step, []

    @functools.wraps(inner)
    def patched(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return inner(*args, **kwargs)

    opt.step = patched
    before = numbers(opt)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        walk(opt, stream(owned(opt), 2))
        scheduler.step()
    assert calls == [1, 1] and differences(numbers(opt), before)


# --- B5 to B8: what must not matter, what must not happen --------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"write": "stochastic"}], ids=["plain", "dice"])
def test_b5_the_same_bits_whatever_others_draw(recipe: Recipe, options: dict[str, Any]) -> None:
    """torch's own generator is neither read nor moved."""
    if options and not recipe.takes("write"):
        pytest.skip("it has no stochastic rounding")
    ends = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        opt = recipe.build(recipe.weights(torch.bfloat16), **options)
        walk(opt, stream(owned(opt), 5))
        assert torch.equal(torch.get_rng_state(), state)
        ends.append(snapshot(opt))
    assert differences(*ends) == []


def test_b6_without_gradients_nothing_happens(recipe: Recipe) -> None:
    opt = recipe.made()
    walk(opt, stream(owned(opt), 3))
    before = snapshot(opt)
    opt.zero_grad()
    opt.step()
    assert differences(snapshot(opt), before) == []


def test_b6_without_gradients_a_fresh_one_stays_where_it_is(recipe: Recipe) -> None:
    opt = recipe.made()
    before = numbers(opt)
    opt.step()
    assert differences(numbers(opt), before) == []


def test_b6_zero_gradients_move_nothing_at_first(recipe: Recipe) -> None:
    opt = recipe.made(weight_decay=0.0)
    before = numbers(opt)
    walk(opt, [[torch.zeros_like(p) for p in owned(opt)]] * 3)
    assert differences(numbers(opt), before) == []


def test_b7_the_gradient_is_left_as_found(recipe: Recipe) -> None:
    """The very tensor, with the same bits."""
    opt = recipe.made()
    for now in stream(owned(opt), 3):
        feed(owned(opt), now)
        before = [(p.grad, p.grad.clone()) for p in owned(opt)]
        opt.step()
        for p, (g, old) in zip(owned(opt), before, strict=True):
            assert p.grad is g and differences(g, old) == []


@pytest.mark.parametrize("foreach", [None, True], ids=["as-it-is", "foreach"])
def test_b8_maximize_is_the_negated_loss(recipe: Recipe, foreach: bool | None) -> None:
    """In parameters, memory and scores, on every route."""
    if not recipe.takes("maximize"):
        pytest.skip("it has no maximize option")
    up, down = recipe.made(maximize=True, foreach=foreach), recipe.made(foreach=foreach)
    gradients = stream(owned(up), 8)
    walk(up, gradients)
    walk(down, [[-g for g in now] for now in gradients])
    for opt in (up, down):
        opt.param_groups[0].pop("maximize")
    assert differences(snapshot(up), snapshot(down)) == []


# --- B9, B10: gradients of another sort ---------------------------------------------------------------------------


def test_b9_sparse_gradients_are_refused_before_anything_moves(recipe: Recipe) -> None:
    if recipe.kind is torch.optim.SGD:
        pytest.skip("torch's SGD takes sparse gradients")
    opt = recipe.made()
    walk(opt, stream(owned(opt), 2))
    feed(owned(opt), stream(owned(opt), 1)[0])
    last = next(p for p in reversed(owned(opt)) if p.dim() == 2)
    last.grad = last.grad.to_sparse()
    before = snapshot(opt)
    with pytest.raises(RuntimeError, match=r"does not support sparse gradients"):
        opt.step()
    assert differences(snapshot(opt), before) == []


def test_b9_complex_parameters_are_pairs(recipe: Recipe, refused: Callable[[str], None]) -> None:
    source = torch.Generator().manual_seed(2)
    start, *gradients = torch.randn(4, 5, 4, 2, generator=source).unbind()
    w, pairs = Parameter(torch.view_as_complex(start.clone())), Parameter(start.clone())
    if recipe.shapes is MATRICES:
        opt = recipe.build([w])
        w.grad = torch.view_as_complex(gradients[0])
        with pytest.raises(RuntimeError, match="complex"):
            opt.step()
        return refused("matrices of complex numbers are not supported")
    if recipe.routed:
        with pytest.raises(ValueError, match="got no hidden matrix"):
            recipe.build([w])
        return refused("matrices of complex numbers are not supported; beside others they obey AdamW")
    one, two = recipe.build([w]), recipe.build([pairs])
    for g in gradients:
        w.grad, pairs.grad = torch.view_as_complex(g.clone()), g
        one.step()
        two.step()
    torch.testing.assert_close(torch.view_as_real(w.detach()), pairs.detach())


def test_b9_float64_stays_float64(recipe: Recipe) -> None:
    """What is remembered, and what is computed: one small step is seen."""
    opt = recipe.build(recipe.weights(torch.float64), lr=1e-12, weight_decay=0.0)
    before = numbers(opt)
    walk(opt, stream(owned(opt), 3))
    held = [x for p in owned(opt) for key, x in opt.state[p].items() if key != "step" and isinstance(x, Tensor)]
    assert held and {x.dtype for x in held} == {torch.float64}
    assert all(0 < float((p - q).abs().max()) < 1e-9 for p, q in zip(numbers(opt), before, strict=True))


@pytest.mark.filterwarnings("ignore:The gradient of:UserWarning")
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_b10_a_bad_gradient_enters_nothing(recipe: Recipe, value: float) -> None:
    opt = recipe.made()
    walk(opt, stream(owned(opt), 3))
    before = snapshot(opt)
    feed(owned(opt), stream(owned(opt), 1)[0])
    owned(opt)[0].grad.view(-1)[1] = value
    opt.step()
    after = snapshot(opt)
    assert differences([after["params"], after["state"]], [before["params"], before["state"]]) == []


def test_b10_it_is_counted_and_told_once(ours: Recipe) -> None:
    opt = ours.made()
    bad = [[torch.full_like(p, torch.nan) for p in owned(opt)]]
    with pytest.warns(UserWarning, match=r"The gradient of parameter 0 of group 0 is not finite.*skipped") as told:
        walk(opt, bad * 3)
    assert len(told) == 1 and opt.report()["skipped"] == 3


def test_b10_it_may_raise_or_be_let_in(ours: Recipe) -> None:
    opt = ours.made(on_nonfinite="raise")
    bad = [[torch.full_like(p, torch.nan) for p in owned(opt)]]
    before = snapshot(opt)["params"]
    with pytest.raises(NonFiniteError, match=r"parameter 0 of group 0.*Nothing was changed"):
        walk(opt, bad)
    assert differences(snapshot(opt)["params"], before) == []
    with pytest.raises(ValueError, match=r"Invalid on_nonfinite: 'hide'"):
        ours.made(on_nonfinite="hide")


# --- B11 to B14 ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_b11_the_host_does_not_wait(recipe: Recipe) -> None:
    opt = recipe.build([Parameter(w.detach().cuda()) for w in recipe.weights()])
    for p in owned(opt):
        p.grad = torch.ones_like(p)
    for _ in range(3):
        opt.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        opt.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_b12_parameters_are_updated_in_place(recipe: Recipe) -> None:
    """The same memory; a view sees it, and autograd is told by the version counter."""
    opt = recipe.made()
    before = [(p.data_ptr(), p._version, p.detach().view(-1), p.detach().clone().view(-1)) for p in owned(opt)]
    feed(owned(opt), stream(owned(opt), 1)[0])
    opt.step()
    for p, (address, version, view, old) in zip(owned(opt), before, strict=True):
        assert p.data_ptr() == address and p._version > version and bool((view != old).any())


def test_b12_a_graph_of_before_the_step_notices(recipe: Recipe) -> None:
    """A backward pass through weights that a step has changed since would be silently wrong."""
    opt = recipe.made()
    p = owned(opt)[0]
    loss = p.square().sum()
    feed(owned(opt), stream(owned(opt), 1)[0])
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_b12_tied_weights_stay_tied(recipe: Recipe) -> None:
    first, second = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    opt = recipe.build(torch.nn.Sequential(first, second).parameters())
    assert len(owned(opt)) == 1
    walk(opt, stream(owned(opt), 2))
    assert second.weight is first.weight


def test_b13_decay_is_at_the_current_learning_rate(recipe: Recipe) -> None:
    """Without a gradient, decoupled decay is all that moves; coupled decay is a gradient of wd p."""
    opt = recipe.made(weight_decay=0.1)
    opt.param_groups[0]["lr"] = lr = 0.25
    before = numbers(opt)
    if recipe.kind.__name__ == "SGD":
        other = recipe.build(twins(owned(opt)), lr=lr, weight_decay=0.0)
        walk(other, [[0.1 * p for p in before]])
        expected = numbers(other)
    else:
        expected = [p * (1 - lr * 0.1) for p in before]
    walk(opt, [[torch.zeros_like(p) for p in owned(opt)]])
    torch.testing.assert_close(numbers(opt), expected)


def test_b14_the_groups_stay_the_users(recipe: Recipe) -> None:
    """Never split, replaced or put in another order: not by steps, nor by saving."""
    ws = recipe.weights()
    opt = recipe.build([{"params": ws[1:], "lr": 0.1, "name": "b"}, {"params": ws[:1], "lr": 0.2, "name": "a"}])
    groups, params = list(opt.param_groups), [list(group["params"]) for group in opt.param_groups]
    walk(opt, stream(owned(opt), 6))
    copy.deepcopy(opt.state_dict())
    if recipe.ours:
        opt.report()
    assert all(a is b for a, b in zip(opt.param_groups, groups, strict=True))
    for group, before in zip(opt.param_groups, params, strict=True):
        assert all(p is q for p, q in zip(group["params"], before, strict=True))
    assert [(group["name"], group["lr"]) for group in opt.param_groups] == [("b", 0.1), ("a", 0.2)]


def test_b14_each_group_has_its_own_learning_rate(recipe: Recipe) -> None:
    """Of equal parameters with equal gradients one moves three times as far."""
    one, two = weights([(5, 4)]), weights([(5, 4)])
    opt = recipe.build([{"params": one, "lr": 0.01}, {"params": two, "lr": 0.03}], weight_decay=0.0)
    before = one[0].detach().clone()
    g = stream(one, 1)[0][0]
    walk(opt, [[g, g]])
    torch.testing.assert_close(two[0].detach() - before, 3 * (one[0].detach() - before), rtol=1e-4, atol=1e-6)
