"""C: flags."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn import Parameter
from torch.profiler import ProfilerActivity, profile

from conformance.recipe import Recipe
from kit import owned, stream, twins, walk, weights

FLAGS = ("foreach", "fused", "maximize", "capturable", "differentiable")  # the flags that torch has added over time


def needs(recipe: Recipe, option: str) -> None:
    """Skip a test about an option that a recipe does not have."""
    if not recipe.takes(option):
        pytest.skip(f"it has no {option} option")


# --- C1 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_c1_bundles_and_loops_agree(recipe: Recipe, dtype: torch.dtype) -> None:
    """Also with the way that the optimizer takes by itself."""
    needs(recipe, "foreach")
    ways = [recipe.build(recipe.weights(dtype), foreach=foreach) for foreach in (None, False, True)]
    for opt in ways:
        walk(opt, stream(owned(opt), 6))
    first, *others = [[p.detach() for p in owned(opt)] for opt in ways]
    rounding = {torch.float64: 1e-9, torch.float32: 1e-5}.get(dtype, 1e-2)
    for other in others:
        torch.testing.assert_close(other, first, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("foreach", [None, False, True])
def test_c1_dtypes_may_be_mixed(recipe: Recipe, foreach: bool | None) -> None:
    """In one group each parameter walks as it would in its own: nothing is cast to the others' dtype."""
    needs(recipe, "foreach")
    dtypes = [torch.float32, torch.float64, torch.bfloat16] * 2
    ws = [weights([(5, 4)], dtype, seed=n)[0] for n, dtype in enumerate(dtypes)]
    mixed, loop = recipe.build(ws, foreach=foreach), recipe.build(twins(ws), foreach=False)
    for opt in (mixed, loop):
        walk(opt, stream(owned(opt), 4))
    for p, q in zip(owned(mixed), owned(loop), strict=True):
        rounding = 1e-5 if p.dtype != torch.bfloat16 else 1e-2
        torch.testing.assert_close(p, q, rtol=rounding, atol=rounding)


def peak(opt: Any) -> float:
    """The most bytes that a step holds beside what was there, in the size of the parameters."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as told:
        opt.step()
    now = most = 0
    for event in told.profiler.kineto_results.events():  # in the order of time
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most / sum(p.numel() * p.element_size() for p in owned(opt))


def test_c1_a_step_needs_at_most_one_more_list(recipe: Recipe) -> None:
    """Of temporaries, once there is state; what is kept beside C kernels is tests/test_kernel_host.py's.

    A polar factor is made of a few matrices.
    """
    opt = recipe.build(weights([(128, 128)] * 6))
    walk(opt, stream(owned(opt), 2))
    assert peak(opt) < (4.0 if recipe.routed else 1.3)


# --- C2 to C4 -----------------------------------------------------------------------------------------------------


def test_c2_two_routes_exclude_each_other(recipe: Recipe) -> None:
    needs(recipe, "fused")
    with pytest.raises(RuntimeError, match=r"`fused` and `foreach` cannot be `True` together"):
        recipe.made(fused=True, foreach=True)


def test_c2_fused_is_kept_or_refused(recipe: Recipe) -> None:
    """Where there is a kernel it agrees; where there is none the error says why."""
    needs(recipe, "fused")
    fused, plain = recipe.made(fused=True), recipe.made(fused=False)
    for opt in (fused, plain):
        walk(opt, stream(owned(opt), 5))
    torch.testing.assert_close([p.detach() for p in owned(fused)], [p.detach() for p in owned(plain)])
    strange = Parameter(torch.ones(4, 4, dtype=torch.complex64))
    with pytest.raises(RuntimeError, match=r"fused"):
        walk(recipe.build([strange], fused=True), [[torch.ones_like(strange)]])


@pytest.mark.parametrize("option", ["nestrov", "weigth_decay", "beta"])
def test_c2_unknown_options_are_errors(recipe: Recipe, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        recipe.made(**{option: 0.5})


def test_c2_what_would_do_nothing_is_refused(ours: Recipe) -> None:
    """An option with nothing to act on."""
    with pytest.raises(ValueError, match=r"nothing is rounded"):
        ours.made(write="stochastic")
    with pytest.raises(ValueError, match=r"Invalid delay"):
        ours.made(delay=2)


CAPTURE = "no such flag: after a first step every step can be captured in a CUDA graph as it is"


def test_c3_capturable_is_a_flag_or_an_error(recipe: Recipe, refused: Callable[[str], None]) -> None:
    if not recipe.takes("capturable"):
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'capturable'"):
            recipe.made(capturable=True)
        return refused(CAPTURE if recipe.ours else f"{recipe.kind.__name__} has no such flag")
    assert recipe.made(capturable=True).param_groups[0]["capturable"]


def test_c3_clocks_and_choices_are_tensors(ours: Recipe) -> None:
    """What changes from step to step lies on the parameter's device: a graph that is replayed finds it there."""
    opt = ours.made()
    walk(opt, stream(owned(opt), 2))
    before = {(p, key): x for p in owned(opt) for key, x in opt.state[p].items()}
    assert all(isinstance(x, Tensor) and x.device == p.device for (p, _), x in before.items())
    walk(opt, stream(owned(opt), 2))
    assert all(opt.state[p][key] is x for (p, key), x in before.items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_c3_a_graph_replays_steps(ours: Recipe) -> None:
    ws = [Parameter(w.detach().cuda()) for w in ours.weights()]
    opt, other = ours.build(ws), ours.build([Parameter(w.detach().clone()) for w in ws])
    for p in (*owned(opt), *owned(other)):
        p.grad = torch.ones_like(p)
    stream_beside = torch.cuda.Stream()
    with torch.cuda.stream(stream_beside):
        opt.step()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream_beside):
            opt.step()
    for _ in range(3):
        graph.replay()
    for _ in range(4):
        other.step()
    torch.testing.assert_close([p.detach() for p in owned(opt)], [p.detach() for p in owned(other)])


def test_c4_differentiable_is_true_or_an_error(recipe: Recipe, refused: Callable[[str], None]) -> None:
    """Accepted only where a gradient comes through the step."""
    if not recipe.takes("differentiable"):
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'differentiable'"):
            recipe.made(differentiable=True)
        why = "a step writes in place, outside of autograd"
        return refused(f"no such flag: {why}" if recipe.ours else f"{recipe.kind.__name__} has no such flag")
    w, g = (torch.rand(4, 4, requires_grad=True) for _ in range(2))
    p = w.clone()
    opt = recipe.build([p], differentiable=True)
    for now in (torch.rand(4, 4), g):  # torch's SGD begins its momentum with a detached copy
        p.grad = now
        opt.step()
    (through,) = grad(p.sum(), g)
    assert bool(through.isfinite().all() and through.any())


# --- C5, C6 -------------------------------------------------------------------------------------------------------


def old(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups as they were before torch had these flags."""
    return [{key: x for key, x in group.items() if key not in FLAGS} for group in groups]


def test_c5_older_pickles_get_the_newer_options(recipe: Recipe) -> None:
    opt, other = recipe.made(), recipe.made()
    walk(opt, stream(owned(opt), 2))
    walk(other, stream(owned(other), 2))
    new = copy.copy(opt)
    new.__setstate__({**opt.__getstate__(), "param_groups": old(opt.param_groups)})
    for o in (new, other):
        walk(o, stream(owned(o), 2, seed=5))
    torch.testing.assert_close([p.detach() for p in owned(new)], [p.detach() for p in owned(other)], rtol=0, atol=0)


def test_c5_older_checkpoints_load(recipe: Recipe) -> None:
    opt = recipe.made()
    walk(opt, stream(owned(opt), 2))
    saved = copy.deepcopy(opt.state_dict())
    new = recipe.build(twins(owned(opt)))
    new.load_state_dict({**saved, "param_groups": old(saved["param_groups"])})
    for o in (new, opt):
        walk(o, stream(owned(o), 2, seed=5))
    torch.testing.assert_close([p.detach() for p in owned(new)], [p.detach() for p in owned(opt)], rtol=0, atol=0)


TORCHS = {"SGD": torch.optim.SGD, "AdamW": torch.optim.AdamW}


def test_c6_names_and_order_are_torchs(ours: Recipe) -> None:
    """What torch takes by place is taken by the same place; everything new is by keyword."""
    mine = [p for p in inspect.signature(ours.kind).parameters.values()]
    placed = [p.name for p in mine if p.kind is not p.KEYWORD_ONLY]
    if theirs := TORCHS.get(ours.kind.__name__):
        torchs = [p for p in inspect.signature(theirs).parameters.values()]
        assert placed == [p.name for p in torchs if p.kind is not p.KEYWORD_ONLY]
        shared = {p.name for p in mine} & {p.name for p in torchs}
        assert {"params", "lr", "weight_decay", "maximize", "foreach", "fused"} <= shared
    assert placed[:2] == ["params", "lr"] and "weight_decay" in placed


def test_c6_no_names_of_our_own_for_torchs_things(recipe: Recipe) -> None:
    foreign = {"learning_rate", "wd", "beta", "beta1", "beta2", "epsilon", "mu", "decay", "nesterov_momentum"}
    assert not foreign & set(inspect.signature(recipe.kind).parameters)
    assert recipe.takes("betas") or recipe.takes("momentum")
