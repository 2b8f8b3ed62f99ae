"""D: state and checkpoints."""

from __future__ import annotations

import copy
import inspect
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

from conformance.recipe import RECIPES, Recipe
from conformance.restart import DTYPES, begun, gone_on, loaded
from fallline import CheckpointError
from kit import differences, feed, owned, snapshot, stream, twins, walk

TESTS = Path(__file__).parent.parent


def trained(recipe: Recipe, steps: int = 5, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    """An optimizer that has walked for some steps."""
    opt = recipe.build(recipe.weights(dtype), **options)
    walk(opt, stream(owned(opt), steps))
    return opt


def through_a_file(thing: Any) -> Any:
    """Saved, and loaded as careful hosts do."""
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def path(opt: torch.optim.Optimizer) -> list[Any]:
    """Parameters and state."""
    taken = snapshot(opt)
    return [taken["params"], taken["state"]]


def assert_same_path(a: Any, b: Any, steps: int = 5) -> None:
    """So many more steps are equal to the last bit."""
    for opt in (a, b):
        walk(opt, stream(owned(opt), steps, seed=7))
    assert differences(path(a), path(b)) == []


# --- D1 to D3: what is saved --------------------------------------------------------------------------------------


def test_d1_torchs_keys_and_parameters_only(recipe: Recipe) -> None:
    opt = trained(recipe)
    assert set(opt.state) == set(owned(opt)) and all(isinstance(p, Tensor) for p in opt.state)
    saved = opt.state_dict()
    assert list(saved) == ["state", "param_groups"] and list(saved["state"]) == list(range(len(owned(opt))))
    assert all(isinstance(key, str) for entry in saved["state"].values() for key in entry)


def test_d2_values_are_tensors_and_numbers(recipe: Recipe) -> None:
    """Groups may hold words, nothing, and sequences too."""
    saved = trained(recipe).state_dict()
    assert {type(x) for entry in saved["state"].values() for x in entry.values()} <= {Tensor, int, float, bool}
    flat = [x for g in saved["param_groups"] for v in g.values() for x in (v if isinstance(v, list | tuple) else [v])]
    assert {type(x) for x in flat} <= {int, float, bool, str, type(None)}


def test_d2_distributed_checkpoints_can_flatten_it(recipe: Recipe) -> None:
    opt = trained(recipe)
    model = nn.ParameterList(owned(opt))
    flat = get_optimizer_state_dict(model, opt, options=StateDictOptions(flatten_optimizer_state_dict=True))
    assert flat and all(isinstance(key, str) for key in flat)


def test_d3_it_loads_without_an_allow_list(recipe: Recipe) -> None:
    opt = trained(recipe)
    assert not [thing for thing in torch.serialization.get_safe_globals() if "fallline" in str(thing)]
    assert differences(through_a_file(opt.state_dict()), opt.state_dict()) == []


# --- D4: resuming -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """Where this process and another one came to, from one checkpoint and one pickle of each recipe."""
    folder, here = tmp_path_factory.mktemp("restart"), {}
    for recipe in RECIPES:
        for dtype in DTYPES:
            opt, file = begun(recipe, dtype), folder / f"{recipe.name},{dtype}"
            params = [p.detach().clone() for p in owned(opt)]
            trainable = [p.requires_grad for p in owned(opt)]
            saved = {"params": params, "trained": trainable, "state": opt.state_dict()}
            torch.save(saved, file.with_suffix(".before"))
            torch.save(opt, file.with_suffix(".pickle"))
            here[recipe.name, dtype] = gone_on(opt)
    paths = os.pathsep.join([str(TESTS), *(p for p in sys.path if p)])
    script = [sys.executable, "-m", "conformance.restart", str(folder)]
    done = subprocess.run(script, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    files = {key: folder / f"{key[0]},{key[1]}.after" for key in here}
    return {key: {"here": end, **torch.load(files[key], weights_only=True)} for key, end in here.items()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_d4_resuming_in_another_process_is_exact(recipe: Recipe, dtype: str, restarted: Any) -> None:
    """Groups that began at different times, one of them partly frozen."""
    ends = restarted[recipe.name, dtype]
    assert differences(ends["checkpoint"], ends["here"]) == []


def test_d4_the_way_of_computing_may_change(recipe: Recipe) -> None:
    """Saved from bundles, gone on in a loop: equal to rounding."""
    if not recipe.takes("foreach"):
        pytest.skip("it has no foreach option")
    opt = begun(recipe, "float32")
    saved = {"params": [p.detach().clone() for p in owned(opt)], "state": copy.deepcopy(opt.state_dict())}
    saved["trained"] = [p.requires_grad for p in owned(opt)]
    for group in saved["state"]["param_groups"]:
        group["foreach"] = False
    torch.testing.assert_close(gone_on(loaded(recipe, saved))["params"], gone_on(opt)["params"], rtol=1e-5, atol=1e-6)


def test_d4_choices_and_counters_come_back(ours: Recipe) -> None:
    opt = trained(ours, 9)
    opt.param_groups[0]["skipped"] = 3
    new = ours.build(twins(owned(opt)))
    new.load_state_dict(through_a_file(opt.state_dict()))
    told, retold = opt.report(), new.report()
    assert {group.pop("route") for group in retold["groups"]} == {None}, "it has not walked yet"
    assert all(group.pop("route") for group in told["groups"])
    assert retold == told


# --- D5 to D7: tensors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_d5_dtypes_come_back(recipe: Recipe, dtype: torch.dtype) -> None:
    opt = trained(recipe, dtype=dtype)
    new = recipe.build(twins(owned(opt)))
    new.load_state_dict(through_a_file(opt.state_dict()))
    assert differences(path(new), path(opt)) == []


def test_d5_what_others_keep_there_comes_back_too(recipe: Recipe) -> None:
    """Codes, indices and wide sums: torch casts all of them to the parameter's dtype."""
    opt = trained(recipe, dtype=torch.bfloat16)
    theirs = {"codes": torch.int8, "index": torch.int64, "shadow": torch.float32, "sum": torch.float64}
    for p in owned(opt):
        opt.state[p] |= {key: torch.full_like(p, 3, dtype=dtype) for key, dtype in theirs.items()}
    new = recipe.build(twins(owned(opt)))
    new.load_state_dict(through_a_file(opt.state_dict()))
    assert {key: x.dtype for key, x in new.state[owned(new)[0]].items() if key in theirs} == theirs
    walk(new, stream(owned(new), 1))


def test_d6_clocks_are_torchs(recipe: Recipe) -> None:
    """Per parameter, 0-d, float32."""
    opt = trained(recipe)
    clocks = [opt.state[p].get("step") for p in owned(opt)]
    if clocks[0] is None:
        pytest.skip("it counts no steps")
    assert all((x.dtype, x.dim(), float(x), x.device.type) == (torch.float32, 0, 5.0, "cpu") for x in clocks)


def test_d6_a_clock_that_is_a_number_loads(recipe: Recipe) -> None:
    """torch once kept numbers."""
    opt = trained(recipe)
    saved = copy.deepcopy(opt.state_dict())
    for entry in saved["state"].values():
        entry |= {"step": float(entry["step"])} if "step" in entry else {}
    new = recipe.build(twins(owned(opt)))
    new.load_state_dict(saved)
    assert_same_path(new, opt)


def test_d7_steps_do_not_write_into_the_source(recipe: Recipe) -> None:
    opt = trained(recipe)
    saved = through_a_file(opt.state_dict())
    kept, new = copy.deepcopy(saved), recipe.build(twins(owned(opt)))
    new.load_state_dict(saved)
    walk(new, stream(owned(new), 2))
    assert differences(saved, kept) == []


# --- D8 to D10: what is more than one parameter's -----------------------------------------------------------------


def test_d8_every_parameter_has_a_copy_of_what_they_share(chooser: Recipe) -> None:
    """Nothing is kept outside of parameters, so that every host saves it."""
    saved = trained(chooser).state_dict()
    held = [entry for entry in saved["state"].values() if "filter.pay" in entry or not chooser.routed]
    assert held and all("filter.pay" in entry and "filter.choice" in entry for entry in held)


def test_d8_where_copies_disagree_the_first_wins(chooser: Recipe) -> None:
    opt = trained(chooser)
    saved = copy.deepcopy(opt.state_dict())
    if chooser.name == "AdamW each":
        pytest.skip("each parameter decides for itself: there are no copies")
    saved["state"][2]["filter.choice"] = torch.tensor(1.0, dtype=torch.float64)
    new = chooser.build(twins(owned(opt)))
    new.load_state_dict(saved)
    assert_same_path(new, opt)


def test_d9_groups_say_their_format_and_recipe(ours: Recipe) -> None:
    opt = trained(ours)
    group = opt.state_dict()["param_groups"][0]
    assert isinstance(group["format"], int) and " → " in group["recipe"]


def test_d9_a_newer_format_is_refused_with_advice(ours: Recipe) -> None:
    opt = trained(ours)
    saved, before = copy.deepcopy(opt.state_dict()), snapshot(opt)
    saved["param_groups"][0]["format"] = 99
    with pytest.raises(CheckpointError, match=r"format 99; this Fallline reads .* Install a newer one"):
        opt.load_state_dict(saved)
    assert differences(snapshot(opt), before) == []


def test_d9_a_checkpoint_without_format_or_recipe_loads(ours: Recipe) -> None:
    """What the first version wrote."""
    opt = trained(ours)
    saved = copy.deepcopy(opt.state_dict())
    for group in saved["param_groups"]:
        del group["format"], group["recipe"]
    new = ours.build(twins(owned(opt)))
    new.load_state_dict(saved)
    assert_same_path(new, opt)


def test_d10_another_rule_is_refused_by_name(ours: Recipe) -> None:
    """The error names the group and its parameters, what moved them, and what moves them now; nothing changes."""
    ws = ours.weights()
    opt = ours.build([{"params": [("first", ws[0])]}, {"params": [("second", ws[1]), ("third", ws[2])]}])
    walk(opt, stream(owned(opt), 2))
    saved, before = copy.deepcopy(opt.state_dict()), snapshot(opt)
    saved["param_groups"][1]["recipe"] = "Bank(Greedy(global), UnitGain) → Spectral → Constant"
    words = r"group 1 \('second', 'third'\).*written by .*Spectral.*Construct the optimizer as it was"
    with pytest.raises(CheckpointError, match=words):
        opt.load_state_dict(saved)
    assert differences(snapshot(opt), before) == []


# --- D11 to D14: the calls ----------------------------------------------------------------------------------------


def test_d11_saving_is_deterministic(recipe: Recipe) -> None:
    opt, other = trained(recipe), trained(recipe)
    first, again = copy.deepcopy(opt.state_dict()), opt.state_dict()
    for second in (again, other.state_dict()):
        assert differences(first, second) == []
        assert [list(entry) for entry in first["state"].values()] == [list(e) for e in second["state"].values()]
        assert [list(group) for group in first["param_groups"]] == [list(group) for group in second["param_groups"]]


def test_d11_hooks_are_honoured(recipe: Recipe) -> None:
    """Before and after, saving and loading, the prepended first; a hook may put a word into the state."""
    opt, order = trained(recipe), []
    opt.register_state_dict_pre_hook(lambda o: o.state.__setitem__("test", 1))
    opt.register_state_dict_post_hook(lambda o, saved: order.append(saved["state"]["test"]))
    saved = opt.state_dict()
    del opt.state["test"], saved["state"]["test"]

    def other_rate(o: Any, given: dict[str, Any]) -> dict[str, Any]:
        order.append("change")
        return {**given, "param_groups": [{**given["param_groups"][0], "lr": 0.5}]}

    opt.register_load_state_dict_pre_hook(other_rate)
    opt.register_load_state_dict_pre_hook(lambda *_: order.append("first"), prepend=True)
    opt.register_load_state_dict_post_hook(lambda o: order.append("after"))
    opt.load_state_dict(saved)
    assert order == [1, "first", "change", "after"] and opt.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("saved_named", [True, False], ids=["from-named", "from-unnamed"])
@pytest.mark.parametrize("loaded_named", [True, False], ids=["to-named", "to-unnamed"])
def test_d12_names_come_and_go(recipe: Recipe, saved_named: bool, loaded_named: bool) -> None:
    """In every direction; names that one side knows are kept."""

    def build(named: bool, ws: list[Any]) -> Any:
        return recipe.build(list(zip("abcd", ws)) if named else ws)  # noqa: B905  # three or four tensors

    opt = build(saved_named, recipe.weights())
    walk(opt, stream(owned(opt), 3))
    new = build(loaded_named, twins(owned(opt)))
    new.load_state_dict(through_a_file(opt.state_dict()))
    names = list("abcd")[: len(owned(opt))]
    assert new.param_groups[0].get("param_names") == (names if saved_named or loaded_named else None)
    assert_same_path(new, opt)


def test_d13_names_of_arguments_are_torchs(recipe: Recipe) -> None:
    assert list(inspect.signature(recipe.kind.state_dict).parameters) == ["self"]
    assert list(inspect.signature(recipe.kind.load_state_dict).parameters) == ["self", "state_dict"]
    opt = trained(recipe)
    opt.load_state_dict(state_dict=opt.state_dict())


MISMATCHED: dict[str, Callable[[Any], Any]] = {
    "fewer parameters": lambda ws: ws[:-1],
    "more groups": lambda ws: [{"params": ws[:-1]}, {"params": ws[-1:]}],
}


@pytest.mark.parametrize("form", MISMATCHED)
def test_d14_a_mismatch_is_torchs_error(recipe: Recipe, form: str) -> None:
    new = recipe.build(MISMATCHED[form](recipe.weights()))
    before = snapshot(new)
    with pytest.raises(ValueError, match="loaded state dict"):
        new.load_state_dict(trained(recipe).state_dict())
    assert differences(snapshot(new), before) == []


def test_d14_a_partly_frozen_models_checkpoint_loads(recipe: Recipe) -> None:
    """And training goes on with everything thawed."""
    ws = recipe.weights()
    ws[0].requires_grad_(False)
    opt = recipe.build(ws)
    for now in stream(ws, 3):
        feed(ws, [None, *now[1:]])
        opt.step()
    new = recipe.build(twins(ws))
    new.load_state_dict(through_a_file(opt.state_dict()))
    for w in (ws[0], owned(new)[0]):
        w.requires_grad_(True)
    assert_same_path(new, opt)


# --- D15: copies --------------------------------------------------------------------------------------------------

COPIES: dict[str, Callable[[Any], Any]] = {"deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}


def public(opt: Any) -> set[str]:
    """The attributes that a user may read."""
    return {name for name in vars(opt) if not name.startswith("_")}


@pytest.mark.parametrize("how", COPIES)
def test_d15_a_copy_keeps_every_public_attribute(recipe: Recipe, how: str) -> None:
    """Parameters are its own, and it goes on to the bit."""
    opt = trained(recipe)
    new = COPIES[how](opt)
    assert public(new) == public(opt)
    for name in public(opt) - {"state", "param_groups", "defaults"}:
        assert getattr(new, name) == getattr(opt, name)
    assert opt.defaults.items() <= new.defaults.items()  # torch adds flags of its own
    assert not {id(p) for p in owned(new)} & {id(p) for p in owned(opt)}
    assert_same_path(new, opt)


@pytest.mark.parametrize("how", COPIES)
def test_d15_a_copy_takes_hooks(recipe: Recipe, how: str) -> None:
    """Those of the original stay with the original, as torch has it."""
    opt, calls = trained(recipe), []
    opt.register_step_post_hook(_silent)
    new = COPIES[how](opt)
    new.register_step_post_hook(lambda *_: calls.append(1))
    walk(new, stream(owned(new), 1))
    assert calls == [1]


def _silent(*_: Any) -> None:
    """A hook that can be pickled."""


def test_d15_another_process_goes_on_from_a_pickle(recipe: Recipe, restarted: Any) -> None:
    ends = restarted[recipe.name, "float32"]
    assert differences(ends["pickle"], ends["here"]) == []
