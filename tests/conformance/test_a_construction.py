"""A: construction and parameter groups."""

from __future__ import annotations

import copy
from collections.abc import Callable
from numbers import Number
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import lr_scheduler

from conformance.recipe import MATRICES, Recipe
from kit import differences, feed, owned, snapshot, stream, twins, walk, weights

NAMES = list("abcdefgh")


def moved(opt: torch.optim.Optimizer, steps: int = 1) -> bool:
    """Whether a few steps move every parameter that has numbers, to numbers."""
    before = [p.detach().clone() for p in owned(opt)]
    walk(opt, stream(owned(opt), steps))
    now = [p.detach() for p in owned(opt)]
    return all(bool(p.isfinite().all() and (p != q).any()) for p, q in zip(now, before, strict=True) if p.numel())


def own(opt: Any, p: Tensor) -> dict[str, Any]:
    """Copies of what is remembered of this parameter; what is decided for several together goes on without it."""
    together: set[str] = set()
    for group in opt.param_groups if hasattr(opt, "sentence") else []:
        for slot, part in opt.sentence(group).choosers.items():
            together |= {f"{slot}.{name}" for name in part.decisions(p.device)} if part.scope == "global" else set()
    return {key: copy.deepcopy(x) for key, x in opt.state.get(p, {}).items() if key not in together}


# --- A1, A2 -------------------------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[list[Parameter]], Any]] = {
    "a list": list,
    "a generator": iter,
    "pairs": lambda ws: list(zip(NAMES, ws)),  # noqa: B905  # more names than tensors
    "a generator of pairs": lambda ws: zip(NAMES, ws),  # noqa: B905
    "groups": lambda ws: [{"params": ws[:1]}, {"params": ws[1:], "lr": 0.5}],
    "groups of generators": lambda ws: [{"params": iter(ws[:1])}, {"params": iter(ws[1:])}],
    "groups of pairs": lambda ws: [{"params": [("a", ws[0])]}, {"params": zip(NAMES[1:], ws[1:])}],  # noqa: B905
    "a group of one tensor": lambda ws: [{"params": ws[0]}, {"params": ws[1:]}],
}


@pytest.mark.parametrize("form", FORMS)
def test_a1_parameters_come_in_every_form(recipe: Recipe, form: str) -> None:
    ws = recipe.weights()
    opt = recipe.build(FORMS[form](ws))
    assert all(p is q for p, q in zip(owned(opt), ws, strict=True))
    assert all(("param_names" in group) == ("pairs" in form) for group in opt.param_groups)
    assert moved(opt)


def test_a1_parameters_by_keyword(recipe: Recipe) -> None:
    assert moved(recipe.build(params=recipe.weights()))


def test_a1_names_for_all_or_for_none(recipe: Recipe) -> None:
    ws = recipe.weights()
    with pytest.raises(ValueError, match="names"):
        recipe.build([("a", ws[0]), ws[1]])
    with pytest.raises(ValueError, match="names"):
        recipe.build([{"params": [("a", ws[0])]}, {"params": ws[1:]}])


MALFORMED: dict[str, tuple[Callable[[list[Parameter]], Any], type[Exception]]] = {
    "a tensor": (lambda ws: ws[0], TypeError),
    "nothing": (lambda ws: [], ValueError),
    "not a tensor": (lambda ws: [ws[0], 3.0], TypeError),
    "not a leaf": (lambda ws: [ws[0] * 2], ValueError),
    "in two groups": (lambda ws: [{"params": ws}, {"params": ws[:1]}], ValueError),
    "a set": (lambda ws: [{"params": set(ws)}], TypeError),
}


@pytest.mark.parametrize("form", MALFORMED)
def test_a2_malformed_parameters_are_torchs_errors(recipe: Recipe, form: str) -> None:
    given, error = MALFORMED[form]
    with pytest.raises(error):
        recipe.build(given(recipe.weights()))


def test_a2_a_duplicate_warns(recipe: Recipe) -> None:
    w = recipe.weights()[0]
    with pytest.warns(UserWarning, match="duplicate"):
        recipe.build([{"params": [w, w]}])


def test_a2_no_option_is_required(recipe: Recipe) -> None:
    """What a group leaves out comes from the defaults."""
    opt = recipe.made()
    assert set(opt.defaults) <= set(opt.param_groups[0])


# --- A3 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_a3_empty_groups(recipe: Recipe, empty: int) -> None:
    """Also as the first: transformers makes such."""
    ws = recipe.weights()
    groups = [{"params": ws[:1]}, {"params": ws[1:]}]
    groups.insert(empty, {"params": []})
    opt = recipe.build(groups)
    assert moved(opt, 3) and len(opt.param_groups) == 3


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0, 2), (1,), (2, 3, 4, 5)], ids=str)
def test_a3_every_shape(recipe: Recipe, shape: tuple[int, ...], refused: Callable[[str], None]) -> None:
    """Numbers, nothing, and more than two dimensions; beside others and alone."""
    if recipe.shapes is MATRICES and len(shape) != 2:
        pytest.skip("it moves matrices only")
    if recipe.routed and shape == (0,):
        with pytest.raises(ValueError, match=r"Nothing of a parameter lies here.*ZeRO-3"):
            recipe.build(weights([shape, *recipe.shapes]))
        return refused("what ZeRO-3 has taken away has this shape, and might be a matrix")
    assert moved(recipe.build(weights([shape, *recipe.shapes])), 3)
    if recipe.routed and len(shape) < 2:
        with pytest.raises(ValueError, match="got no hidden matrix"):
            recipe.build(weights([shape]))
        return refused("a norm of matrices has nothing to do without one")
    assert moved(recipe.build(weights([shape])), 3)


def layouts(p: Tensor) -> dict[str, Tensor]:
    """The same numbers, otherwise in memory."""
    wide = torch.zeros(*p.shape[:-1], 2 * p.shape[-1])
    wide[..., ::2] = p
    return {"transposed": p.mT.contiguous().mT, "not contiguous": wide[..., ::2]}


@pytest.mark.parametrize("layout", ["transposed", "not contiguous"])
@pytest.mark.parametrize("where", ["parameter", "gradient", "both"])
def test_a3_every_layout(recipe: Recipe, layout: str, where: str) -> None:
    """The numbers are those of contiguous memory."""
    w = weights([(6, 4)])[0]
    other = Parameter(layouts(w.detach())[layout] if where != "gradient" else w.detach().clone())
    one, two = recipe.build([w]), recipe.build([other])
    for (g,) in stream([w], 4):
        w.grad, other.grad = g, layouts(g)[layout] if where != "parameter" else g.clone()
        one.step()
        two.step()
    torch.testing.assert_close(w, other, rtol=1e-5, atol=1e-6)


def test_a3_channels_last(recipe: Recipe) -> None:
    if recipe.shapes is MATRICES:
        pytest.skip("it moves matrices only")
    w = weights([(2, 3, 4, 5)])[0]
    other = Parameter(w.detach().clone(memory_format=torch.channels_last))
    one, two = recipe.build([w]), recipe.build([other])
    for (g,) in stream([w], 4):
        w.grad, other.grad = g, g.to(memory_format=torch.channels_last)
        one.step()
        two.step()
    assert other.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(w, other, rtol=1e-5, atol=1e-6)


def test_a3_expanded_gradients(recipe: Recipe) -> None:
    """The gradient of a sum is one number, seen many times."""
    w = weights([(6, 4)])[0]
    other = Parameter(w.detach().clone())
    one, two = recipe.build([w]), recipe.build([other])
    w.grad, other.grad = torch.ones(()).expand(6, 4), torch.ones(6, 4)
    one.step()
    two.step()
    torch.testing.assert_close(w, other, rtol=1e-5, atol=1e-6)


def test_a3_every_dtype(recipe: Recipe) -> None:
    """In one group."""
    dtypes = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
    ws = [weights([(6, 4)], dtype)[0] for dtype in dtypes]
    assert moved(recipe.build(ws), 3) and [w.dtype for w in ws] == dtypes


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a3_devices_may_be_mixed(recipe: Recipe) -> None:
    ws = [
        Parameter(w.detach().to(device)) for w, device in zip(weights([(6, 4), (4, 4)]), ("cpu", "cuda"), strict=True)
    ]
    opt = recipe.build(ws)
    for p in ws:
        p.grad = torch.ones_like(p)
    opt.step()
    assert [w.device.type for w in ws] == ["cpu", "cuda"] and all(bool(w.isfinite().all()) for w in ws)


# --- A4 to A7 -----------------------------------------------------------------------------------------------------


def plain(x: Any) -> bool:
    """A scalar, a word, nothing, or a sequence of such."""
    return x is None or isinstance(x, Number | str) or (isinstance(x, list | tuple) and all(map(plain, x)))


def test_a4_options_are_plain_and_in_every_group(recipe: Recipe) -> None:
    opt = recipe.build([{"params": recipe.weights()}, {"params": []}])
    assert all(map(plain, opt.defaults.values())) and {"lr", recipe.word} <= set(opt.defaults)
    for group in opt.param_groups:
        assert set(opt.defaults) <= set(group) and all(plain(x) for key, x in group.items() if key != "params")


BAD = {"lr": -1.0, "weight_decay": -1.0}


@pytest.mark.parametrize("option", BAD)
def test_a5_constructors_validate(recipe: Recipe, option: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid (learning rate|weight_decay value|weight decay)|should be >= 0"):
        recipe.made(**{option: BAD[option]})


@pytest.mark.parametrize("option", BAD)
def test_a5_groups_are_validated(recipe: Recipe, option: str) -> None:
    """In the constructor and later; nothing is added then."""
    ws = recipe.weights()
    with pytest.raises(ValueError, match="Invalid"):
        recipe.build([{"params": ws, option: BAD[option]}])
    opt = recipe.build(ws[:1])
    with pytest.raises(ValueError, match="Invalid"):
        opt.add_param_group({"params": ws[1:], option: BAD[option]})
    assert len(opt.param_groups) == 1


def test_a5_a_groups_momentum_is_validated(recipe: Recipe) -> None:
    bad = {"betas": (1.5, 0.9)} if recipe.word == "betas" else {"momentum": -0.5}
    opt = recipe.build(recipe.weights()[:1])
    with pytest.raises(ValueError, match="Invalid"):
        opt.add_param_group({"params": recipe.weights(seed=5), **bad})


def test_a6_zero_is_a_learning_rate(recipe: Recipe) -> None:
    opt = recipe.made(lr=0.0)
    before = [p.detach().clone() for p in owned(opt)]
    walk(opt, stream(owned(opt), 3))
    assert differences([p.detach() for p in owned(opt)], before) == []


def test_a6_the_learning_rate_is_a_number(recipe: Recipe) -> None:
    """None, which others take for "you choose", would leave schedulers and dashboards without one."""
    with pytest.raises((ValueError, TypeError)):
        recipe.made(lr=None)
    assert isinstance(recipe.made().param_groups[0]["lr"], float)


def test_a7_a_tensor_stays_the_very_object(recipe: Recipe) -> None:
    """Schedulers fill it; the next step uses what they filled in."""
    lr = torch.tensor(0.01)
    opt, other = recipe.made(lr=lr), recipe.made(lr=0.01)
    scheduler = lr_scheduler.ExponentialLR(opt, 0.5)
    for n, now in enumerate(stream(owned(opt), 4)):
        other.param_groups[0]["lr"] = 0.01 * 0.5**n
        walk(opt, [now])
        walk(other, [now])
        scheduler.step()
    assert opt.param_groups[0]["lr"] is lr and float(lr) == pytest.approx(0.01 / 16)
    torch.testing.assert_close([p.detach() for p in owned(opt)], [p.detach() for p in owned(other)])


def test_a7_a_longer_tensor_is_refused(recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="1-element"):
        recipe.made(lr=torch.tensor([0.1, 0.2]))


def test_a7_a_tensor_with_foreach(recipe: Recipe, refused: Callable[[str], None]) -> None:
    """It works, or it is an error at once."""
    if not recipe.takes("foreach"):
        pytest.skip("it has no foreach option")
    try:
        opt = recipe.made(lr=torch.tensor(0.01), foreach=True)
    except ValueError as error:
        assert "foreach" in str(error)
        return refused(f"{recipe.kind.__name__}: {error}")
    other = recipe.made(lr=0.01, foreach=True)
    for o in (opt, other):
        walk(o, stream(owned(o), 3))
    torch.testing.assert_close([p.detach() for p in owned(opt)], [p.detach() for p in owned(other)])


# --- A8 to A12 ----------------------------------------------------------------------------------------------------


def test_a8_a_group_may_be_added_after_steps(recipe: Recipe) -> None:
    """The old parameters keep what they remember, the new ones begin; a scheduler of before goes on."""
    opt = recipe.made()
    scheduler = lr_scheduler.ExponentialLR(opt, 0.5)
    old = owned(opt)
    walk(opt, stream(old, 3))
    before = [own(opt, p) for p in old]
    opt.add_param_group({"params": weights([(3, 3)], seed=7), "lr": 0.02})
    assert differences([own(opt, p) for p in old], before) == []
    assert moved(opt)
    assert set(opt.state) >= set(owned(opt))
    scheduler.step()
    assert [group["lr"] for group in opt.param_groups] == [opt.defaults["lr"] / 2, 0.01]


def test_a8_the_callers_dict_is_left_alone(recipe: Recipe) -> None:
    given = {"params": weights([(3, 3)]), "lr": 0.02}
    opt = recipe.made()
    opt.add_param_group(given)
    assert set(given) == {"params", "lr"}


def test_a9_the_constructor_looks_at_no_gradient_and_makes_no_state(recipe: Recipe) -> None:
    ws = recipe.weights()
    for w in ws:
        w.grad = torch.full_like(w, torch.nan)
    opt = recipe.build(ws)
    assert not opt.state and all(bool(w.isfinite().all()) for w in ws)


def test_a9_parameters_may_be_replaced_after_construction(recipe: Recipe) -> None:
    """Accelerate does so with FSDP2: the new ones are moved, the old ones are not."""
    opt, other = recipe.made(), recipe.build(recipe.weights(seed=3))
    old, new = owned(opt), twins(owned(other))
    opt.param_groups[0]["params"] = new
    before = [p.detach().clone() for p in old]
    for o in (opt, other):
        walk(o, stream(owned(o), 4))
    assert differences([p.detach() for p in new], [p.detach() for p in owned(other)]) == []
    assert differences([p.detach() for p in old], before) == [] and set(opt.state) == set(new)


def test_a10_printing_shows_every_option(recipe: Recipe) -> None:
    opt = recipe.build(weights([(300, 300)]))
    walk(opt, stream(owned(opt), 1))
    words = repr(opt)
    assert all(f"{key}: " in words for key in opt.param_groups[0] if key != "params")
    assert len(words) < 2000 and "tensor(" not in words


FOREIGN = {"name": "decay", "use_muon": True, "lr_scale": 0.5, "initial_lr": 0.3, "use_fallback": False, "tags": ["a"]}


def test_a11_unknown_keys_are_kept(recipe: Recipe) -> None:
    """By steps, by saving, by loading."""
    opt = recipe.build([{"params": recipe.weights(), **FOREIGN}])
    walk(opt, stream(owned(opt), 2))
    new = recipe.build([{"params": twins(owned(opt))}])
    new.load_state_dict(copy.deepcopy(opt.state_dict()))
    for o in (opt, new):
        assert {key: o.param_groups[0][key] for key in FOREIGN} == FOREIGN
    assert moved(new)


def freeze(opt: torch.optim.Optimizer, stale: bool) -> list[str]:
    """Freeze the first parameter after three steps, go on, and see what has changed of it."""
    walk(opt, stream(owned(opt), 3))
    frozen = owned(opt)[0]
    before = [frozen.detach().clone(), own(opt, frozen)]
    frozen.requires_grad_(False)
    feed(owned(opt), stream(owned(opt), 1, seed=5)[0])
    frozen.grad = frozen.grad if stale else None
    opt.step()
    return differences([frozen.detach(), own(opt, frozen)], before)


def test_a12_frozen_parameters_stay(recipe: Recipe) -> None:
    assert freeze(recipe.made(), stale=False) == []


def test_a12_a_gradient_from_before_the_freeze_does_not_count(recipe: Recipe) -> None:
    assert freeze(recipe.made(), stale=True) == []


def test_a12_unused_parameters_stay(recipe: Recipe) -> None:
    """And go on where they stood when they are used again."""
    opt = recipe.made()
    walk(opt, stream(owned(opt), 3))
    unused = owned(opt)[1]
    before = [unused.detach().clone(), own(opt, unused)]
    now = stream(owned(opt), 1, seed=5)[0]
    feed(owned(opt), [None if p is unused else g for p, g in zip(owned(opt), now, strict=True)])
    opt.step()
    assert differences([unused.detach(), own(opt, unused)], before) == []
    assert moved(opt) and snapshot(opt)
