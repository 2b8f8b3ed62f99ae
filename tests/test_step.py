"""One step: what torch promises of it, and what a choosing optimizer must promise besides."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from fallline import SGD, Adam, AdamW, Descent, Lion, OwnershipError
from fallline.core.guard import Guard
from kit import (
    BANK,
    CHOOSING,
    FEW,
    NAMED,
    OPTIMIZERS,
    SHAPES,
    Gradients,
    differences,
    feed,
    owned,
    readable,
    snapshot,
    stream,
    trained,
    walk,
    weights,
)
from schedule import CYCLING, SCHEDULERS

HALF = [torch.bfloat16, torch.float16]
FULL = [torch.float32, torch.float64]


# --- the call -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    "call", [lambda opt, f: opt.step(f), lambda opt, f: opt.step(closure=f)], ids=["place", "keyword"]
)
def test_closure(name: str, call: Callable[[Descent, Any], Any]) -> None:
    """Called once, with grad mode on, even under no_grad; its value comes back as the very object."""
    opt = OPTIMIZERS[name](weights())
    seen: list[Tensor] = []

    def closure() -> Tensor:
        opt.zero_grad()
        seen.append(torch.stack([p.square().sum() for p in owned(opt)]).sum())
        seen[-1].backward()
        return seen[-1]

    with torch.no_grad():
        loss = call(opt, closure)
    assert len(seen) == 1 and loss is seen[0] and loss.requires_grad


def test_without_closure_step_returns_none() -> None:
    assert trained("adamw-auto").step() is None


def test_a_closures_number_is_returned_as_it_is() -> None:
    opt = trained("sgd")
    assert opt.step(lambda: 1.5) == 1.5


@pytest.mark.parametrize("closure_only", [True, False])
def test_step_takes_nothing_but_a_closure(closure_only: bool) -> None:
    with pytest.raises(TypeError):
        trained("sgd").step(None, 1) if closure_only else trained("sgd").step(grad_scaler=None)  # type: ignore[call-arg]


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """Global hooks that write down when they are called."""
    heard: list[str] = []
    before = register_optimizer_step_pre_hook(lambda *_: heard.append("global-pre"))
    after = register_optimizer_step_post_hook(lambda *_: heard.append("global-post"))
    yield heard
    before.remove()
    after.remove()


@pytest.mark.parametrize("name", NAMED)
def test_hooks_fire_once_and_in_torchs_order(name: str, calls: list[str]) -> None:
    opt = OPTIMIZERS[name](weights())
    opt.register_step_pre_hook(lambda *_: calls.append("pre"))
    opt.register_step_post_hook(lambda *_: calls.append("post"))
    opt.step(lambda: calls.append("step"))
    assert calls == ["global-pre", "pre", "step", "post", "global-post"]


@pytest.mark.parametrize("kind", [Descent, SGD, Adam, AdamW, Lion])
def test_step_is_a_method_of_the_class(kind: type[Descent]) -> None:
    """Schedulers and Accelerate wrap it; torch marks it as hooked, once."""
    opt = trained("lion") if kind is Descent else kind(weights())
    assert "step" not in vars(opt) and type(opt).step.hooked  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore")  # torch's compiler has its own
@pytest.mark.parametrize("name", ["sgd", "adamw-auto"])
def test_a_compiled_step_is_the_step(name: str) -> None:
    """Also when lr changes, and without a recompilation."""
    plain, compiled = (OPTIMIZERS[name](weights()) for _ in range(2))
    torch._dynamo.reset()
    step = torch.compile(compiled.step, backend="eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n, now in enumerate(stream(owned(plain), 6)):
            for opt, go in ((plain, plain.step), (compiled, step)):
                opt.param_groups[0]["lr"] = 0.01 * (n + 1)
                feed(owned(opt), now)
                go()
    assert differences(snapshot(plain), snapshot(compiled)) == []


# --- what is left alone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [{}, {"maximize": True}, {"weight_decay": 0.1}, {"maximize": True, "weight_decay": 0.1}], ids=str
)
@pytest.mark.parametrize("kind", [SGD, Adam, AdamW, Lion])
@pytest.mark.parametrize("choosing", [False, True])
def test_gradients_are_left_as_found(kind: Any, given: dict[str, Any], choosing: bool) -> None:
    """Not scaled, not negated, not decayed, not replaced."""
    momentum = "auto" if choosing else 0.9
    opt = kind(weights(), **given, **({"momentum": momentum} if kind is SGD else {"betas": (momentum, 0.99)}))
    gradients = stream(owned(opt), 3)
    for now in gradients:
        feed(owned(opt), now)
        found = [p.grad for p in owned(opt)]
        opt.step()
        assert all(p.grad is g for p, g in zip(owned(opt), found, strict=True))
        assert differences(found, now) == []


@pytest.mark.parametrize("name", FEW)
def test_without_gradients_nothing_changes(name: str) -> None:
    opt = trained(name)
    before = snapshot(opt)
    opt.zero_grad()
    opt.step()
    assert differences(snapshot(opt), before) == []


@pytest.mark.parametrize("name", FEW)
def test_zero_gradients_do_not_move_a_fresh_optimizer(name: str) -> None:
    opt = OPTIMIZERS[name]([{"params": weights(), "weight_decay": 0.0}])
    before = snapshot(opt)["params"]
    walk(opt, [[torch.zeros_like(p) for p in owned(opt)]] * 2)
    assert differences(snapshot(opt)["params"], before) == []


@pytest.mark.parametrize("how", ["no gradient", "frozen"])
@pytest.mark.parametrize("name", FEW)
def test_a_parameter_that_takes_no_part_keeps_everything(name: str, how: str) -> None:
    """Its numbers, its memory and its clock; only what all parameters decide together goes on."""
    opt = trained(name)
    still, before = owned(opt)[1], snapshot(opt)
    if how == "frozen":
        still.requires_grad_(False)
    for now in stream(owned(opt), 3, seed=5):
        feed(owned(opt), now)
        still.grad = still.grad if how == "frozen" else None
        opt.step()
    after = snapshot(opt)
    decided = (
        set(opt.sentence(opt.param_groups[0]).filter.decisions(torch.device("cpu"))) if name in CHOOSING else set()
    )
    own = [key for key in before["state"][1] if key.removeprefix("filter.") not in decided]
    assert differences(after["params"][1], before["params"][1]) == []
    assert [line for key in own for line in differences(after["state"][1][key], before["state"][1][key], key)] == []
    assert all(differences(after["params"][i], before["params"][i]) for i in (0, 2, 3))


@pytest.mark.parametrize("name", ["adamw", "sgd", "each", "each-full"])
def test_clocks_run_apart_where_parameters_do(name: str) -> None:
    """A parameter that took part in every second step is as if it had walked alone."""
    opt = OPTIMIZERS[name](weights())
    lone = OPTIMIZERS[name]([weights()[1]])
    for n, now in enumerate(stream(owned(opt), 8)):
        feed(owned(opt), now if n % 2 else [now[0], None, now[2], now[3]])
        opt.step()
        if n % 2:
            walk(lone, [[now[1]]])
    assert differences(snapshot(opt)["state"][1], snapshot(lone)["state"][0]) == []
    assert differences(owned(opt)[1], owned(lone)[0]) == []


@pytest.mark.parametrize("first", [True, False], ids=["first-parameter", "last-parameter"])
def test_thawing_a_parameter_does_not_reset_the_choice(first: bool) -> None:
    """Gradual unfreezing: the newcomer joins the decision that the others have come to."""
    ws = weights()
    late = ws[0] if first else ws[-1]
    late.requires_grad_(False)
    opt = AdamW(ws, betas=BANK)
    walk(opt, stream(ws, 6))
    wins = opt.state[ws[1]]["filter.wins"].sum().item()
    late.requires_grad_(True)
    walk(opt, stream(ws, 1, seed=5))
    assert [opt.state[p]["filter.wins"].sum().item() for p in ws] == [wins + 1] * len(ws)


def test_order_of_groups_and_parameters_stays() -> None:
    ws = weights([(2,), (50, 50), (3,), ()])
    opt = AdamW([{"params": ws[2:]}, {"params": ws[:2]}], betas=BANK)
    walk(opt, stream(owned(opt), 3))
    assert [[id(p) for p in group["params"]] for group in opt.param_groups] == [
        [id(p) for p in ws[2:]],
        [id(p) for p in ws[:2]],
    ]


@pytest.mark.parametrize("name", NAMED)
def test_parameters_are_written_in_place(name: str) -> None:
    """Views see the step and autograd notices it."""
    opt = OPTIMIZERS[name](weights())
    p = owned(opt)[0]
    view, place, version = p.detach()[1], p.data_ptr(), p._version
    walk(opt, stream(owned(opt), 1))
    assert p.data_ptr() == place and p._version > version and torch.equal(view, p[1])


@pytest.mark.parametrize("name", ["adamw", "sgd-auto", "full"])
def test_a_parameter_whose_data_was_replaced_goes_on(name: str) -> None:
    """model.to(), vector_to_parameters and weight swaps assign p.data."""
    opt, other = trained(name), trained(name)
    for p in owned(opt):
        p.data = p.data.clone()
    for each in (opt, other):
        walk(each, stream(owned(each), 3, seed=5))
    assert differences(snapshot(opt), snapshot(other)) == []


@pytest.mark.parametrize("name", ["adamw", "sgd-auto", "full"])
def test_state_that_was_moved_goes_on(name: str) -> None:
    """Offloading code writes state[p][key] = value.to(device)."""
    opt, other = trained(name), trained(name)
    for entry in opt.state.values():
        entry.update({key: x.clone() for key, x in entry.items()})
    for each in (opt, other):
        walk(each, stream(owned(each), 3, seed=5))
    assert differences(snapshot(opt), snapshot(other)) == []


@pytest.mark.parametrize("key", ["metric.v", "filter.m0", "filter.weights", "step"])
def test_one_entry_that_was_replaced_goes_on(key: str) -> None:
    """Of the last parameter only; and what a user keeps beside our state is nobody's business."""
    opt, other = trained("adamw-auto"), trained("adamw-auto")
    entry = opt.state[owned(opt)[-1]]
    entry[key] = entry[key].clone()
    opt.state["mine"] = entry["mine"] = "a word"  # type: ignore[index]
    for each in (opt, other):
        walk(each, stream(owned(each), 3, seed=5))
    del opt.state["mine"], entry["mine"]  # type: ignore[arg-type]
    held = [opt.state[p] for p in owned(opt)]
    for each in (opt, other):
        walk(each, stream(owned(each), 3, seed=6))
    assert differences(snapshot(opt), snapshot(other)) == [] and all(
        opt.state[p] is x for p, x in zip(owned(opt), held, strict=True)
    )


@pytest.mark.parametrize("name", FEW)
def test_two_runs_are_equal_to_the_bit(name: str) -> None:
    assert differences(snapshot(trained(name)), snapshot(trained(name))) == []


def test_optimizers_share_nothing() -> None:
    """Two of them in one process walk as each would alone."""
    one, two, alone = (OPTIMIZERS["full"](weights()) for _ in range(3))
    for now in stream(owned(one), 6):
        walk(one, [now])
        walk(two, [[-g for g in now]])
        walk(alone, [now])
    assert differences(snapshot(one), snapshot(alone)) == []


# --- maximize, learning rate, decay -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_maximize_is_minimising_the_negated_loss(name: str) -> None:
    """Bit by bit, choices, pays and counters included; decay still shrinks the weights."""
    up, down = (OPTIMIZERS[name]([{"params": weights(), "weight_decay": 0.1, "maximize": up}]) for up in (True, False))
    gradients = stream(owned(up), 13)
    walk(up, [[-g for g in now] for now in gradients])
    walk(down, gradients)
    up.param_groups[0]["maximize"] = False
    assert differences(snapshot(up), snapshot(down)) == []


@pytest.mark.parametrize("name", FEW)
def test_a_zero_learning_rate_only_remembers(name: str) -> None:
    opt, other = OPTIMIZERS[name]([{"params": weights(), "lr": 0.0}]), OPTIMIZERS[name](weights())
    for each in (opt, other):
        walk(each, stream(owned(each), 3))
    assert differences(snapshot(opt)["params"], [w.detach() for w in weights()]) == []
    assert differences(snapshot(opt)["state"], snapshot(other)["state"]) == []


@pytest.mark.parametrize("shape", [(), (1,)], ids=["0-d", "1-d"])
@pytest.mark.parametrize("name", FEW)
def test_learning_rate_as_a_tensor(name: str, shape: tuple[int, ...]) -> None:
    """The very object is kept, a change in place counts, and the result is that of the number."""
    lr = torch.full(shape, 2.0**-7)
    opt, other = (
        OPTIMIZERS[name]([{"params": weights(), "lr": lr}]),
        OPTIMIZERS[name]([{"params": weights(), "lr": 2.0**-7}]),
    )
    for each in (opt, other):
        walk(each, stream(owned(each), 3))
    lr.fill_(2.0**-8)
    other.param_groups[0]["lr"] = 2.0**-8
    for each in (opt, other):
        walk(each, stream(owned(each), 3, seed=5))
    assert opt.param_groups[0]["lr"] is lr and lr.shape == shape
    torch.testing.assert_close(
        [p.detach() for p in owned(opt)], [p.detach() for p in owned(other)], rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("name", ["sgd", "adamw", "lion", "gap-sgd"])
def test_each_group_has_its_own_learning_rate(name: str) -> None:
    """Equal parameters with half the learning rate move half as far."""
    a, b = weights([(6, 3)]), weights([(6, 3)])
    start = a[0].detach().clone()
    opt = OPTIMIZERS[name](
        [{"params": a, "lr": 0.125, "weight_decay": 0.0}, {"params": b, "lr": 0.0625, "weight_decay": 0.0}]
    )
    for now in stream(a, 5):
        walk(opt, [now * 2])
    torch.testing.assert_close((a[0] - start).detach(), 2 * (b[0] - start).detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "adamw-auto", "full", "late", "lion", "lion-auto", "gap-adam"])
def test_decoupled_decay_uses_the_current_learning_rate(name: str) -> None:
    """theta <- (1 - lr decay) theta, nothing else, where gradients are zero."""
    opt = OPTIMIZERS[name]([{"params": weights(dtype=torch.float64), "lr": 0.1, "weight_decay": 0.5}])
    walk(opt, [[torch.zeros_like(p) for p in owned(opt)]])
    opt.param_groups[0]["lr"] = 0.02
    walk(opt, [[torch.zeros_like(p) for p in owned(opt)]])
    expected = [p.detach() * 0.95 * 0.99 for p in weights(dtype=torch.float64)]
    torch.testing.assert_close([p.detach() for p in owned(opt)], expected, rtol=1e-15, atol=0)


def test_groups_with_different_rules_do_not_mix() -> None:
    """Each walks as it would in an optimizer of its own; only one of them chooses."""
    given = [{"betas": (0.8, 0.99)}, {"betas": BANK}, {"betas": ((0.5, 0.9), 0.9), "weight_decay": 0.3}]
    shapes = [SHAPES[:2], SHAPES[2:], [(7,)]]
    together = AdamW([{"params": weights(s), **g} for s, g in zip(shapes, given, strict=True)], lr=0.01)
    apart = [AdamW([{"params": weights(s), **g}], lr=0.01) for s, g in zip(shapes, given, strict=True)]
    for now in stream(owned(together), 12):
        feed(owned(together), now)
        feed([p for opt in apart for p in owned(opt)], now)
        together.step()
        for opt in apart:
            opt.step()
    joined = {key: [x for opt in apart for x in snapshot(opt)[key]] for key in ("params", "state", "groups")}
    assert differences(snapshot(together), joined) == []


def test_a_momentum_that_is_switched_on_later_is_torchs() -> None:
    """As torch.optim.SGD allows it: the buffer starts with the gradient of that step."""
    ours, theirs = SGD(weights(), lr=0.01), torch.optim.SGD(weights(), lr=0.01)
    for opt in (ours, theirs):
        walk(opt, stream(owned(opt), 3))
        opt.param_groups[0]["momentum"] = 0.9
        walk(opt, stream(owned(opt), 3, seed=5))
    torch.testing.assert_close([p.detach() for p in owned(ours)], [p.detach() for p in owned(theirs)])


@pytest.mark.parametrize(("before", "after"), [(None, (0.5, 0.9)), ((0.5, 0.9), None)], ids=["on", "off"])
@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_a_choice_that_is_switched_on_or_off_starts_afresh(kind: Any, before: Any, after: Any) -> None:
    """A fixed filter's memory is not a bank's: no step is louder than a steady gradient allows."""
    w = Parameter(torch.zeros(40))
    given = {"momentum": before or 0.9} if kind is SGD else {"betas": (before or 0.9, 0.999)}
    opt = kind([w], lr=2.0**-9, **given, **({} if kind is SGD else {"weight_decay": 0.0}))
    walk(opt, [[torch.ones(40)]] * 30)
    group = opt.param_groups[0]
    group["candidates"] = after
    if after is None:
        group.pop("chosen")
        group.update({"momentum": 0.9} if kind is SGD else {"betas": (0.9, 0.999)})
    loudest = 10 if kind is SGD else 1
    for _ in range(5):
        start = w.detach().clone()
        walk(opt, [[torch.ones(40)]])
        assert (start - w.detach()).abs().max() <= 1.001 * loudest * 2.0**-9


def test_foreach_may_be_changed_between_steps() -> None:
    opt = OPTIMIZERS["full"](weights())
    walk(opt, stream(owned(opt), 2))
    opt.param_groups[0]["foreach"] = False
    walk(opt, stream(owned(opt), 1))
    assert len(opt._current_plan().chunks) == len(SHAPES)


def test_what_others_keep_in_the_state_is_left_alone() -> None:
    opt = OPTIMIZERS["full"](weights())
    walk(opt, stream(owned(opt), 2))
    for n, p in enumerate(owned(opt)):
        opt.state[p].update(mine=torch.tensor(float(n)), count=n, name="w")
    walk(opt, stream(owned(opt), 2))
    opt.state[owned(opt)[0]]["mine"].add_(5)
    assert [float(opt.state[p]["mine"]) for p in owned(opt)] == [5, 1, 2, 3]
    assert [opt.state[p]["count"] for p in owned(opt)] == [0, 1, 2, 3]


# --- parameters of every shape and kind ---------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "every-second": lambda x: torch.stack([x, x], -1)[..., 0],
    "inside": lambda x: torch.nn.functional.pad(x, (1, 1, 1, 1))[..., 1:-1, 1:-1],
}


@pytest.mark.parametrize("gradient", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["full"])
def test_memory_layout_does_not_matter(name: str, layout: str, gradient: str) -> None:
    """Strides of parameter and gradient change nothing but the rounding of sums."""
    shape = (4, 6, 3, 2)
    plain = OPTIMIZERS[name](weights([shape]))
    strided = OPTIMIZERS[name]([Parameter(LAYOUTS[layout](weights([shape])[0].detach()))])
    strides = owned(strided)[0].stride()
    for (g,) in stream(owned(plain), 6):
        owned(plain)[0].grad = g
        owned(strided)[0].grad = LAYOUTS[gradient](g)
        plain.step()
        strided.step()
    torch.testing.assert_close(owned(strided)[0].detach(), owned(plain)[0].detach(), rtol=1e-6, atol=1e-7)
    assert owned(strided)[0].stride() == strides


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_expanded_gradients(name: str) -> None:
    """A sum's gradient is one number with strides of zero; it is not written to."""
    opt, other = (OPTIMIZERS[name](readable(weights([(4, 3)]))) for _ in range(2))
    for _ in range(3):
        one = torch.ones(())
        owned(opt)[0].grad = one.expand(4, 3)
        owned(other)[0].grad = torch.ones(4, 3)
        opt.step()
        other.step()
        assert one == 1
    assert differences(snapshot(opt), snapshot(other)) == []


@pytest.mark.parametrize("foreach", [None, True])
@pytest.mark.parametrize("name", FEW)
def test_no_gradient_is_held_between_steps(name: str, foreach: bool | None) -> None:
    """A loop that sets p.grad to None wants its memory back at once, not after the next backward."""
    opt = OPTIMIZERS[name]([{"params": weights(), "foreach": foreach}])
    walk(opt, stream(owned(opt), 3))
    left = [weakref.ref(p.grad) for p in owned(opt)]
    for p in owned(opt):
        p.grad = None
    assert [ref() for ref in left] == [None] * len(left)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", FEW)
def test_numbers_and_empty_tensors(name: str, dtype: torch.dtype) -> None:
    """0-d and empty parameters walk along; the empty one has state, which checkpoints want."""
    opt = OPTIMIZERS[name]([{"params": weights([(), (0, 3), (2,), (0,)], dtype), "lr": 0.1}])
    walk(opt, stream(owned(opt), 6))
    moved = [not torch.equal(p, w) for p, w in zip(owned(opt), weights([(), (0, 3), (2,), (0,)], dtype), strict=True)]
    assert moved == [True, False, True, False] and all(p.isfinite().all() for p in owned(opt))
    assert all(opt.state[p] for p in owned(opt))


@pytest.mark.parametrize("name", NAMED)
def test_empty_parameters_alone(name: str) -> None:
    opt = OPTIMIZERS[name](weights([(0,), (3, 0)]))
    walk(opt, stream(owned(opt), 2))
    opt.report()


@pytest.mark.parametrize("name", FEW)
def test_a_number_walks_like_a_vector_of_one(name: str) -> None:
    number, vector = OPTIMIZERS[name](weights([()])), OPTIMIZERS[name](weights([(1,)]))
    gradients = stream(owned(number), 8)
    walk(number, gradients)
    walk(vector, [[g.reshape(1) for g in now] for now in gradients])
    assert differences(owned(number)[0].detach().reshape(1), owned(vector)[0].detach()) == []


@pytest.mark.parametrize(("name", "dtype"), [*((name, torch.bfloat16) for name in OPTIMIZERS), ("full", torch.float16)])
def test_half_weights_are_the_rounded_full_ones(name: str, dtype: torch.dtype) -> None:
    """Memory and arithmetic are float32; only the weights are rounded, once a step."""
    half, full = OPTIMIZERS[name]([{"params": weights(dtype=dtype), "weight_decay": 0.0}]), None
    for now in stream(owned(half), 3):
        full = OPTIMIZERS[name]([{"params": [Parameter(p.detach().float()) for p in owned(half)], "weight_decay": 0.0}])
        full.load_state_dict(half.state_dict())
        walk(half, [now])
        walk(full, [[g.float() for g in now]])
        assert differences([p.detach() for p in owned(half)], [p.detach().to(dtype) for p in owned(full)]) == []
    floats = {
        x.dtype
        for entry in half.state.values()
        for key, x in entry.items()
        if key.startswith(("filter.m", "filter.b", "metric"))
    }
    assert floats == {torch.float32}


@pytest.mark.parametrize("name", FEW)
def test_double_weights_stay_double(name: str) -> None:
    """Every memory but the clock is float64, and the path is that of float32 to float32's precision."""
    double, single = trained(name, dtype=torch.float64), trained(name)
    assert {p.dtype for p in owned(double)} == {torch.float64}
    assert {x.dtype for entry in double.state.values() for key, x in entry.items() if key != "step"} == {torch.float64}
    torch.testing.assert_close(
        [p.detach().float() for p in owned(double)], [p.detach() for p in owned(single)], rtol=1e-3, atol=1e-4
    )


def test_dtypes_may_be_mixed() -> None:
    """In one group and over groups; a choice is shared by all of them."""
    ws = [weights([(3, 2)], dtype)[0] for dtype in (*HALF, *FULL)]
    opt = AdamW([{"params": ws[:3]}, {"params": ws[3:]}], betas=BANK)
    walk(opt, stream(ws, 9))
    assert [p.dtype for p in ws] == [*HALF, *FULL]
    assert len({id(opt.state[p]["filter.weights"]) for p in ws}) == 1


def complex_weights(seed: int = 0) -> list[Parameter]:
    real, imaginary = (weights([(4, 3), ()], seed=seed + i) for i in range(2))
    return [Parameter(torch.complex(a.detach(), b.detach())) for a, b in zip(real, imaginary, strict=True)]


def complex_stream(steps: int) -> Gradients:
    ws = weights([(4, 3), ()])
    pairs = zip(stream(ws, steps, seed=1), stream(ws, steps, seed=2), strict=True)
    return [[torch.complex(a, b) for a, b in zip(*pair, strict=True)] for pair in pairs]


@pytest.mark.parametrize(
    ("ours", "theirs", "given"),
    [
        (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
        (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (Adam, torch.optim.Adam, {"lr": 0.1, "weight_decay": 0.1}),
        (AdamW, torch.optim.AdamW, {"lr": 0.1}),
    ],
)
def test_complex_parameters_are_torchs(ours: Any, theirs: Any, given: dict[str, Any]) -> None:
    a, b = complex_weights(), complex_weights()
    for opt in (ours(a, **given), theirs(b, **given)):
        walk(opt, complex_stream(6))
    torch.testing.assert_close([p.detach() for p in a], [p.detach() for p in b])


@pytest.mark.parametrize("name", FEW)
def test_complex_parameters_walk_as_pairs_of_numbers(name: str) -> None:
    pairs = OPTIMIZERS[name](readable(complex_weights()))
    numbers = OPTIMIZERS[name](readable(Parameter(torch.view_as_real(p.detach()).clone()) for p in complex_weights()))
    walk(pairs, complex_stream(8))
    walk(numbers, [[torch.view_as_real(g) for g in now] for now in complex_stream(8)])
    assert (
        differences([torch.view_as_real(p.detach()) for p in owned(pairs)], [p.detach() for p in owned(numbers)]) == []
    )
    assert differences(snapshot(pairs)["state"], snapshot(numbers)["state"]) == []


@pytest.mark.parametrize("name", ["sgd", "adamw", "full"])
def test_a_lazily_conjugated_gradient(name: str) -> None:
    """Autograd leaves one behind for every loss of w.conj()."""
    opt, other = (OPTIMIZERS[name](complex_weights()) for _ in range(2))
    torch.stack([(p.conj() * (2 + 1j)).real.sum() for p in owned(opt)]).sum().backward()
    assert all(p.grad.is_conj() for p in owned(opt))  # type: ignore[union-attr]
    feed(owned(other), [p.grad.resolve_conj() for p in owned(opt)])  # type: ignore[union-attr]
    opt.step()
    other.step()
    assert differences(snapshot(opt), snapshot(other)) == []


# --- hosts: schedulers and scalers --------------------------------------------------------------------------------


def scheduled(opt: torch.optim.Optimizer, scheduler: Any, steps: int = 7) -> list[tuple[float, float]]:
    """Learning rate and momentum before each step."""
    told = []
    for now in stream(owned(opt), steps):
        group = opt.param_groups[0]
        told.append((float(group["lr"]), group["betas"][0] if "betas" in group else group["momentum"]))
        walk(opt, [now])
        scheduler.step(*([1.0] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else []))
    return told


@pytest.mark.parametrize("as_tensor", [False, True], ids=["number", "tensor"])
@pytest.mark.parametrize("which", SCHEDULERS)
def test_every_scheduler_drives_as_it_drives_torch(which: str, as_tensor: bool) -> None:
    lr = torch.tensor(0.05) if as_tensor else 0.05
    ours = AdamW(weights(), lr=lr, betas=(0.9, 0.999))
    theirs = torch.optim.AdamW(weights(), lr=torch.tensor(0.05) if as_tensor else 0.05, foreach=False)
    assert scheduled(ours, SCHEDULERS[which](ours)) == scheduled(theirs, SCHEDULERS[which](theirs))
    torch.testing.assert_close(
        [p.detach() for p in owned(ours)], [p.detach() for p in owned(theirs)], rtol=1e-5, atol=1e-6
    )
    assert not as_tensor or ours.param_groups[0]["lr"] is lr


@pytest.mark.parametrize("which", SCHEDULERS)
@pytest.mark.parametrize("name", ["sgd-auto", "each"])
def test_schedulers_and_selectors_do_not_fight(name: str, which: str) -> None:
    opt, theirs = OPTIMIZERS[name](weights()), torch.optim.SGD(weights(), lr=OPTIMIZERS[name](weights()).defaults["lr"])
    told, expected = scheduled(opt, SCHEDULERS[which](opt)), scheduled(theirs, SCHEDULERS[which](theirs))
    assert [lr for lr, _ in told] == [lr for lr, _ in expected]


@pytest.mark.parametrize("which", CYCLING)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda ws: SGD(ws, momentum=0.9), lambda ws: torch.optim.SGD(ws, momentum=0.9)),
        (lambda ws: SGD(ws), lambda ws: torch.optim.SGD(ws)),
        (lambda ws: Adam(ws), lambda ws: torch.optim.Adam(ws)),
        (lambda ws: AdamW(ws), lambda ws: torch.optim.AdamW(ws)),
    ],
    ids=["SGD", "SGD without momentum", "Adam", "AdamW"],
)
def test_a_fixed_momentum_may_be_cycled(ours: Any, theirs: Any, which: str) -> None:
    a, b = ours(weights()), theirs(weights())
    assert scheduled(a, CYCLING[which](a)) == scheduled(b, CYCLING[which](b))
    torch.testing.assert_close([p.detach() for p in owned(a)], [p.detach() for p in owned(b)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", CYCLING)
@pytest.mark.parametrize("name", ["sgd-auto", "adamw-auto", "lion-auto", "full", "late"])
def test_a_chosen_momentum_may_not_be_cycled(name: str, which: str) -> None:
    opt = OPTIMIZERS[name](weights())
    with pytest.raises(
        OwnershipError,
        match=rf"{which} wrote .* is chosen.*cycle_momentum=False to {which}, which.*one number as momentum",
    ):
        scheduled(opt, CYCLING[which](opt))


@pytest.mark.parametrize("name", ["sgd-auto", "adamw-auto", "full", "late"])
def test_a_foreign_momentum_is_refused_before_anything_moves(name: str) -> None:
    opt = trained(name)
    feed(owned(opt), stream(owned(opt), 1)[0])
    group = opt.param_groups[0]
    group.update({"betas": (0.85, 0.999)} if "betas" in group else {"momentum": 0.85})
    before = snapshot(opt)
    with pytest.raises(OwnershipError, match=r"0\.85"):
        opt.step()
    assert differences(snapshot(opt), before) == []


@pytest.mark.parametrize("name", FEW)
def test_a_gradient_scaler_is_not_noticed(name: str) -> None:
    """Its scale, a power of two, is taken out before the step; where it finds infinity there is no step."""
    scaled, plain = OPTIMIZERS[name](weights()), OPTIMIZERS[name](weights())
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    for n, now in enumerate(stream(owned(scaled), 6)):
        feed(owned(scaled), [g * (torch.inf if n == 3 else scaler.get_scale()) for g in now])
        scaler.scale(torch.ones(()))  # the scaler wakes at its first use
        scaler.step(scaled)
        scaler.update()
        walk(plain, [now] if n != 3 else [])
    assert differences(snapshot(scaled), snapshot(plain)) == []
    assert scaler.get_scale() == 32.0


# --- an accelerator does not wait: whether a step is fit is known on the device only ------------------------------


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """From now on, what the guard says is a tensor, as on an accelerator."""

    def say(fit: bool) -> None:
        monkeypatch.setattr(Guard, "judge", lambda *_: torch.tensor(fit))

    return say


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_fit_step_on_a_device_is_the_same(name: str, on_device: Callable[[bool], None]) -> None:
    host = trained(name, steps=13)
    on_device(True)
    assert differences(snapshot(trained(name, steps=13)), snapshot(host)) == []


@pytest.mark.parametrize("value", [1.0, torch.nan])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_unfit_step_on_a_device_changes_nothing(name: str, value: float, on_device: Callable[[bool], None]) -> None:
    """Parameters, memory, decisions, clocks and what the groups show; and the next steps do not notice."""
    opt, other = trained(name), trained(name)
    before = snapshot(opt)
    on_device(False)
    walk(opt, [[g * value for g in now] for now in stream(owned(opt), 2, seed=6)])
    assert differences(snapshot(opt), before) == []
    on_device(True)
    for each in (opt, other):
        walk(each, stream(owned(each), 3, seed=5))
    assert differences(snapshot(opt), snapshot(other)) == []


@pytest.mark.parametrize("name", CHOOSING)
def test_an_unfit_first_step_on_a_device_shows_no_nonsense(name: str, on_device: Callable[[bool], None]) -> None:
    on_device(False)
    opt = trained(name, steps=1)
    group = opt.param_groups[0]
    shown = [group["lr"], group["betas"][0] if "betas" in group else group["momentum"], group.get("effective_lr", 0.0)]
    assert all(torch.tensor(shown).isfinite()), shown


# --- distributed checkpoints take a step with zero gradients and lr = 0 to make state ------------------------------


@pytest.mark.parametrize(
    ("steps", "zero"), [(0, 0.0), (7, 0.0), (7, torch.tensor(0.0))], ids=["fresh", "trained", "trained-tensor"]
)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_at_rest_changes_nothing(name: str, steps: int, zero: Any) -> None:
    """Not parameters, memory, clocks, choices or counters."""
    opt = trained(name, steps)
    opt.state_dict()  # makes state
    before = snapshot(opt)
    lr, opt.param_groups[0]["lr"] = opt.param_groups[0]["lr"], zero
    walk(opt, [[torch.zeros_like(p) for p in owned(opt)]])
    opt.param_groups[0]["lr"] = lr
    assert differences(snapshot(opt), before) == []


def test_zero_gradients_alone_are_a_step() -> None:
    """With a learning rate momentum goes on: only a step at rest is none."""
    opt, other = trained("sgd"), trained("sgd")
    walk(opt, [[torch.zeros_like(p) for p in owned(opt)]])
    assert differences(snapshot(opt)["params"], snapshot(other)["params"]) != []
    assert opt.report()["step"] == other.report()["step"] + 1
