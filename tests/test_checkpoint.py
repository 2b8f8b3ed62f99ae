"""Checkpoints: what is saved, that training goes on from it to the last bit, and what is refused."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.nn import Parameter

from fallline import (
    EMA,
    SGD,
    AdamW,
    CheckpointError,
    Cone,
    Constant,
    Decoupled,
    Descent,
    Euclid,
    Greedy,
    HeavyBall,
    Lion,
    Rule,
    Span,
    UnitPower,
)
from kit import (
    BANK,
    FEW,
    OPTIMIZERS,
    differences,
    feed,
    owned,
    snapshot,
    stream,
    trained,
    twins,
    walk,
    weights,
)


def through_a_file(thing: Any) -> Any:
    """Saved, and loaded the way that careful hosts load."""
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def fresh(name: str, opt: Descent) -> Descent:
    """A new optimizer of the same kind on copies of the parameters."""
    return OPTIMIZERS[name](twins(owned(opt)))


def path(opt: torch.optim.Optimizer) -> list[Any]:
    """Parameters, state, and what the groups say of the momentum and of skipped steps."""
    taken = snapshot(opt)
    words = ("lr", "momentum", "betas", "candidates", "chosen", "effective_lr", "skipped", "skipped_in_a_row")
    return [taken["params"], taken["state"], [{key: g[key] for key in words if key in g} for g in taken["groups"]]]


def assert_same_path(a: torch.optim.Optimizer, b: torch.optim.Optimizer, steps: int = 10) -> None:
    """So many more steps are equal to the last bit."""
    gradients = stream(owned(a), steps, seed=7)
    walk(a, gradients)
    walk(b, gradients)
    assert differences(path(a), path(b)) == []


# --- what is saved ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_is_flat_and_plain(name: str) -> None:
    """torch's two keys, parameters' numbers as keys, `step` and `slot.name` below them, tensors only."""
    saved = trained(name).state_dict()
    assert list(saved) == ["state", "param_groups"] and list(saved["state"]) == [0, 1, 2, 3]
    for entry in saved["state"].values():
        assert all(type(x) is Tensor for x in entry.values())
        assert {key.split(".")[0] for key in entry} <= {"step", "filter", "metric"}
        assert (entry["step"].dtype, entry["step"].shape) == (torch.float32, ())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_groups_are_plain(name: str) -> None:
    """Numbers, words, None, and tuples of them."""
    for group in trained(name).state_dict()["param_groups"]:
        flat = [x for value in group.values() for x in (value if isinstance(value, tuple | list) else [value])]
        assert {type(x) for x in flat} <= {int, float, bool, str, type(None)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_trainable_parameter_has_state(name: str) -> None:
    """Also before the first step, and without a gradient; frozen ones have none."""
    ws = weights()
    ws[2].requires_grad_(False)
    opt = OPTIMIZERS[name](ws)
    assert list(opt.state_dict()["state"]) == [0, 1, 3]
    feed(ws, [None, *stream(ws, 1)[0][1:]])
    opt.step()
    assert list(opt.state_dict()["state"]) == [0, 1, 3]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_constructor_makes_no_state(name: str) -> None:
    """Hosts replace parameters after construction; the first step finds the new ones."""
    opt = OPTIMIZERS[name](weights())
    assert not opt.state
    opt.param_groups[0]["params"] = weights(seed=3)
    walk(opt, stream(owned(opt), 2))
    assert set(opt.state) == set(owned(opt))


@pytest.mark.parametrize("name", FEW)
def test_saving_twice_saves_the_same(name: str) -> None:
    opt = trained(name)
    first, second = copy.deepcopy(opt.state_dict()), opt.state_dict()
    assert differences(first, second) == []
    assert [list(entry) for entry in first["state"].values()] == [list(entry) for entry in second["state"].values()]


@pytest.mark.parametrize("name", FEW)
def test_saving_does_not_disturb(name: str) -> None:
    """Nor does the save and load at once that Accelerate makes before the first step."""
    opt, other = OPTIMIZERS[name](weights()), OPTIMIZERS[name](weights())
    opt.load_state_dict(opt.state_dict())
    for now in stream(owned(opt), 8):
        walk(opt, [now])
        walk(other, [now])
        opt.state_dict()
    assert_same_path(opt, other, steps=0)


# --- going on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loaded_optimizer_goes_on_to_the_bit(name: str, dtype: torch.dtype) -> None:
    """Values, dtypes, choices, pays, counters; and then ten more steps."""
    opt = trained(name, dtype=dtype)
    new = fresh(name, opt)
    new.load_state_dict(through_a_file(opt.state_dict()))
    assert_same_path(opt, new, steps=0)
    assert_same_path(opt, new, steps=10)
    assert new.report() == opt.report()


@pytest.mark.parametrize("name", ["adamw", "full"])
def test_a_loaded_optimizer_has_the_same_options(name: str) -> None:
    """Loading adds no key to the groups that a new optimizer does not have (flat distributed checkpoints need that)."""
    opt = trained(name)
    new = fresh(name, opt)
    new.load_state_dict(opt.state_dict())
    assert differences(snapshot(new)["groups"], snapshot(opt)["groups"]) == []


@pytest.mark.parametrize("name", ["adamw", "sgd-auto", "full", "each"])
def test_loading_into_a_trained_optimizer_goes_back(name: str) -> None:
    """Nothing of what it has learned since is left."""
    opt, other = trained(name), trained(name)
    saved, start = copy.deepcopy(opt.state_dict()), [p.detach().clone() for p in owned(opt)]
    walk(opt, stream(owned(opt), 5, seed=9))
    opt.load_state_dict(saved)
    for p, before in zip(owned(opt), start, strict=True):
        p.detach().copy_(before)
    assert_same_path(opt, other)


@pytest.mark.parametrize("name", FEW)
def test_a_fresh_checkpoint_resets(name: str) -> None:
    """What a new optimizer saves before its first step is a beginning."""
    opt = trained(name)
    new = fresh(name, opt)
    opt.load_state_dict(through_a_file(new.state_dict()))
    assert_same_path(opt, new)


@pytest.mark.parametrize("name", FEW)
def test_loaded_tensors_are_copies(name: str) -> None:
    """Steps do not write into the source, and writing into the source changes nothing here."""
    opt = trained(name)
    saved = through_a_file(opt.state_dict())
    kept, new = copy.deepcopy(saved), fresh(name, opt)
    new.load_state_dict(saved)
    walk(new, stream(owned(new), 3))
    assert differences(saved, kept) == []
    before = snapshot(new)
    for entry in saved["state"].values():
        for x in entry.values():
            x.fill_(7)
    assert differences(snapshot(new), before) == []


def test_two_optimizers_loaded_from_one_source_do_not_share() -> None:
    opt = trained("full")
    saved = opt.state_dict()
    one, two = fresh("full", opt), fresh("full", opt)
    one.load_state_dict(saved)
    two.load_state_dict(saved)
    before = snapshot(two)
    walk(one, stream(owned(one), 3))
    assert differences(snapshot(two), before) == []


def test_dtypes_come_back() -> None:
    """torch casts state to the parameter's dtype: float32 moments of bf16 weights would come back bf16."""
    opt = trained("full", dtype=torch.bfloat16)
    new = fresh("full", opt)
    new.load_state_dict(through_a_file(opt.state_dict()))
    dtypes = {key: x.dtype for key, x in new.state[owned(new)[0]].items()}
    assert {dtypes["filter.m0"], dtypes["metric.v"], dtypes["step"]} == {torch.float32}
    assert {dtypes["filter.weights"], dtypes["filter.pay"], dtypes["filter.wins"]} == {torch.float64}


@pytest.mark.parametrize("name", ["sgd-auto", "full", "each", "span"])
def test_choices_and_counters_come_back(name: str) -> None:
    """The report of a loaded optimizer tells what the saved one would have told, but for the way it walked."""
    opt = trained(name)
    opt.param_groups[0]["skipped"] = 3
    new = fresh(name, opt)
    new.load_state_dict(through_a_file(opt.state_dict()))
    told, retold = opt.report(), new.report()
    ways = [[group.pop("route") for group in each["groups"]] for each in (told, retold)]
    assert retold == told
    assert None not in ways[0] and set(ways[1]) == {None}


def test_copies_that_disagree_are_made_one() -> None:
    """What is decided together is saved with every parameter; the first one wins."""
    opt = trained("full")
    saved = copy.deepcopy(opt.state_dict())
    saved["state"][2]["filter.choice"] = torch.tensor(1.0, dtype=torch.float64)
    new = fresh("full", opt)
    new.load_state_dict(saved)
    assert_same_path(opt, new)


def test_a_checkpoint_of_an_older_version_gets_the_newer_options() -> None:
    opt = trained("adamw-auto")
    saved = copy.deepcopy(opt.state_dict())
    for key in ("skipped", "skipped_in_a_row", "maximize", "decoupled_weight_decay"):
        del saved["param_groups"][0][key]
    new = fresh("adamw-auto", opt)
    new.load_state_dict(saved)
    assert_same_path(opt, new)


# --- the forms of parameters --------------------------------------------------------------------------------------


def test_group_added_after_steps_is_saved_too() -> None:
    """Clocks differ between the groups, and stay so."""
    opt = trained("adamw-auto")
    more = weights([(3, 3)], seed=4)
    opt.add_param_group({"params": more, "lr": 0.1})
    walk(opt, stream(owned(opt), 3, seed=5))
    assert [float(opt.state[p]["step"]) for p in owned(opt)] == [10, 10, 10, 10, 3]
    old, new = twins(owned(opt)[:4]), twins(more)
    loaded = OPTIMIZERS["adamw-auto"]([{"params": old}, {"params": new, "lr": 0.1}])
    loaded.load_state_dict(through_a_file(opt.state_dict()))
    assert_same_path(opt, loaded)


def test_a_group_added_after_loading_joins() -> None:
    opt = trained("adamw-auto")
    new = fresh("adamw-auto", opt)
    new.load_state_dict(through_a_file(opt.state_dict()))
    for each in (opt, new):
        each.add_param_group({"params": weights([(3, 3)], seed=4)})
    assert_same_path(opt, new)


@pytest.mark.parametrize("saved_named", [True, False])
@pytest.mark.parametrize("loaded_named", [True, False])
def test_named_parameters(saved_named: bool, loaded_named: bool) -> None:
    """From named to unnamed and back; as in torch, names that either side knows are kept."""

    def build(named: bool, ws: list[Parameter]) -> Descent:
        return OPTIMIZERS["adamw-auto"](zip("abcd", ws, strict=True) if named else ws)

    opt = build(saved_named, weights())
    walk(opt, stream(owned(opt), 7))
    new = build(loaded_named, twins(owned(opt)))
    new.load_state_dict(through_a_file(opt.state_dict()))
    assert new.param_groups[0].get("param_names") == (list("abcd") if saved_named or loaded_named else None)
    assert_same_path(opt, new)


@pytest.mark.parametrize("name", ["adamw", "adamw-auto", "full", "each"])
def test_a_partially_frozen_models_checkpoint_loads(name: str) -> None:
    ws = weights()
    ws[0].requires_grad_(False)
    opt = OPTIMIZERS[name](ws)
    walk(opt, stream(ws, 7))
    new = fresh(name, opt)
    new.load_state_dict(through_a_file(opt.state_dict()))
    assert_same_path(opt, new)


def test_another_execution_goes_on() -> None:
    """Saved with bundles, loaded into a loop: how it is computed is not part of the state."""
    opt = trained("full")
    new = AdamW(twins(owned(opt)), lr=0.01, betas=BANK, bank="full", foreach=False, chunk_bytes=1)
    new.load_state_dict(through_a_file(opt.state_dict()))
    assert_same_path(opt, new)


@pytest.mark.parametrize("order", ["optimizer-first", "scheduler-first"])
def test_a_scheduler_is_loaded_beside(order: str) -> None:
    """In either order the learning rate is the saved one."""
    opt = OPTIMIZERS["adamw-auto"](weights())
    scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)
    for now in stream(owned(opt), 3):
        walk(opt, [now])
        scheduler.step()
    new = fresh("adamw-auto", opt)
    other = torch.optim.lr_scheduler.ExponentialLR(new, 0.5)
    saved = through_a_file(opt.state_dict()), scheduler.state_dict()
    loads = [lambda: new.load_state_dict(saved[0]), lambda: other.load_state_dict(saved[1])]
    for load in loads if order == "optimizer-first" else loads[::-1]:
        load()
    assert new.param_groups[0]["lr"] == opt.param_groups[0]["lr"] == 0.01 / 8
    assert new.param_groups[0]["initial_lr"] == 0.01


# --- copies -------------------------------------------------------------------------------------------------------

COPIES: dict[str, Callable[[Any], Any]] = {"deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}


@pytest.mark.parametrize(
    ("name", "how"), [*((name, "deepcopy") for name in OPTIMIZERS), *((name, "pickle") for name in FEW)]
)
def test_a_copy_goes_on_to_the_bit(name: str, how: str) -> None:
    """Its parameters are its own, its options the same."""
    opt = trained(name)
    new = COPIES[how](opt)
    for option in ("rule", "delay", "chunk_bytes", "on_nonfinite", "choice"):
        assert getattr(new, option) == getattr(opt, option)
    assert new.report()["rule"] == opt.report()["rule"]
    before = snapshot(opt)
    walk(new, stream(owned(new), 2))
    assert differences(snapshot(opt), before) == []
    walk(opt, stream(owned(opt), 2))
    assert_same_path(opt, new, steps=4)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_scheduled_optimizer_steps_itself(how: str) -> None:
    """A scheduler wraps opt.step; the wrapper of the original must not come along."""
    opt = trained("adamw-auto")
    torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)
    before = snapshot(opt)
    new = COPIES[how](opt)
    walk(new, stream(owned(new), 1))
    assert differences(snapshot(opt), before) == []
    assert differences(snapshot(new)["params"], before["params"]) != []


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_keeps_its_policy(how: str) -> None:
    opt = COPIES[how](AdamW(weights(), on_nonfinite="raise", chunk_bytes=17, delay=1))
    walk(opt, stream(owned(opt), 1))
    feed(owned(opt), [torch.full_like(p, torch.nan) for p in owned(opt)])
    with pytest.raises(FloatingPointError):
        opt.step()
    assert (opt.on_nonfinite, opt.chunk_bytes, opt.delay) == ("raise", 17, 1)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_plain_descent_keeps_its_rule(how: str) -> None:
    rule = Rule(EMA(0.5), Euclid(), Constant(), Decoupled(0.1))
    opt = Descent(weights(), rule, lr=0.1)
    walk(opt, stream(owned(opt), 2))
    new = COPIES[how](opt)
    assert new.rule == rule
    assert_same_path(opt, new)


# --- what is refused ----------------------------------------------------------------------------------------------

OTHERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda ws: SGD(ws, momentum=0.9),
    "AdamW with a probe": lambda ws: AdamW(ws, betas=BANK),
    "AdamW with a full bank": lambda ws: AdamW(ws, betas=BANK, bank="full"),
    "AdamW with Span": lambda ws: AdamW(ws, betas=BANK, bank="full", selector=Span(), scale=UnitPower()),
    "Lion": lambda ws: Lion(ws),
    "torch.optim.SGD": lambda ws: torch.optim.SGD(ws, momentum=0.9),
    "torch.optim.AdamW": lambda ws: torch.optim.AdamW(ws),
}
REFUSED = {
    "adam": ["SGD", "AdamW with a full bank", "AdamW with Span", "Lion", "torch.optim.SGD", "torch.optim.AdamW"],
    "sgd": ["AdamW with a probe", "AdamW with Span", "Lion", "torch.optim.SGD", "torch.optim.AdamW"],
    "sgd-auto": ["AdamW with a probe", "AdamW with a full bank", "Lion", "torch.optim.SGD", "torch.optim.AdamW"],
    "full": ["SGD", "AdamW with a probe", "AdamW with Span", "Lion", "torch.optim.AdamW"],
}


@pytest.mark.parametrize(("name", "other"), [(name, other) for name, others in REFUSED.items() for other in others])
def test_the_state_of_another_rule_is_refused(name: str, other: str) -> None:
    """The error says what the checkpoint holds and what the optimizer keeps; nothing has changed."""
    opt, theirs = trained(name), OTHERS[other](weights())
    walk(theirs, stream(owned(theirs), 2))
    before = snapshot(opt)
    with pytest.raises(CheckpointError, match=r"parameter 0 holds .* but .* keeps |written by .* but .* is "):
        opt.load_state_dict(theirs.state_dict())
    assert differences(snapshot(opt), before) == []


@pytest.mark.parametrize(
    "other",
    [
        {"selector": Greedy(scope="parameter")},
        {"scale": UnitPower()},
        {"selector": Cone()},
    ],
    ids=["scope", "scale", "selector"],
)
def test_another_way_to_choose_is_refused(other: dict[str, Any]) -> None:
    """The error shows both sentences."""
    opt = AdamW(weights(), betas=BANK, bank="full", **other)
    walk(opt, stream(owned(opt), 2))
    mine = trained("full")
    with pytest.raises(
        CheckpointError, match=r"written by Bank\(.*\) → .*, but AdamW is Bank\(Greedy\(global\), UnitGain\)"
    ):
        mine.load_state_dict(opt.state_dict())


def test_other_numbers_of_a_selector_are_no_mismatch() -> None:
    """A run may be gone on with a calmer selector."""
    opt = trained("full")
    calm = AdamW(twins(owned(opt)), betas=BANK, bank="full", selector=Greedy(smoothing=0.9, hysteresis=3))
    calm.load_state_dict(through_a_file(opt.state_dict()))
    walk(calm, stream(owned(calm), 2))


def test_a_checkpoint_of_a_newer_format_is_refused() -> None:
    opt = trained("full")
    saved = copy.deepcopy(opt.state_dict())
    saved["param_groups"][0]["format"] = 7
    with pytest.raises(CheckpointError, match=r"format 7; this Fallline reads 1 and older\. Install a newer one"):
        opt.load_state_dict(saved)


def test_another_number_of_candidates_is_the_checkpoints() -> None:
    """Options of groups are loaded, as in torch; so the bank is the one that was saved."""
    opt = trained("full")
    new = AdamW(twins(owned(opt)), betas=((0.1, 0.2), 0.9), bank="full")
    new.load_state_dict(through_a_file(opt.state_dict()))
    assert new.param_groups[0]["candidates"] == BANK[0]
    assert_same_path(opt, new)


@pytest.mark.parametrize(
    "params",
    [lambda: weights()[:3], lambda: [{"params": weights()}, {"params": weights([(2,)])}]],
    ids=["fewer parameters", "more groups"],
)
def test_a_mismatch_of_groups_is_torchs_error(params: Callable[[], Any]) -> None:
    new = OPTIMIZERS["adamw-auto"](params())
    walk(new, stream(owned(new), 2))
    before = snapshot(new)
    with pytest.raises(ValueError, match="loaded state dict"):
        new.load_state_dict(trained("adamw-auto").state_dict())
    assert differences(snapshot(new), before) == []


def test_other_shapes_are_refused() -> None:
    """When they are loaded, not in the middle of a step."""
    opt = OPTIMIZERS["sgd"](weights([(3,), (2, 2)]))
    walk(opt, stream(owned(opt), 1))
    other = OPTIMIZERS["sgd"](weights([(4,), (2, 2)]))
    walk(other, stream(owned(other), 1))
    before = snapshot(opt)
    with pytest.raises(CheckpointError, match="parameter 0"):
        opt.load_state_dict(other.state_dict())
    assert differences(snapshot(opt), before) == []


def test_a_momentum_that_was_switched_off_is_forgotten() -> None:
    """What is saved is what the present rule keeps, and what others keep beside it."""
    opt = trained("sgd")
    opt.param_groups[0]["momentum"] = 0.0
    opt.state[owned(opt)[0]]["shadow"] = torch.ones(3)
    walk(opt, stream(owned(opt), 2))
    new = fresh("sgd", opt)
    new.load_state_dict(through_a_file(opt.state_dict()))
    assert [set(new.state[p]) for p in owned(new)] == [{"step", "shadow"}, {"step"}, {"step"}, {"step"}]
    assert_same_path(opt, new)


def test_same_memory_other_numbers_is_no_mismatch() -> None:
    """A Descent's rule is code, not state: it may change its numbers between runs, like any training script."""
    first = Descent(weights(), Rule(HeavyBall(0.9), Euclid(), Constant(), Decoupled()), lr=0.1)
    walk(first, stream(owned(first), 2))
    second = Descent(weights(), Rule(HeavyBall(0.5), Euclid(), Constant(), Decoupled()), lr=0.1)
    second.load_state_dict(first.state_dict())
    walk(second, stream(owned(second), 1))


# --- hooks --------------------------------------------------------------------------------------------------------


def test_state_dict_hooks() -> None:
    """Before and after saving; a key that a hook puts into the state does no harm."""
    opt = trained("adamw-auto")
    opt.register_state_dict_pre_hook(lambda o: o.state.__setitem__("test", 1))
    opt.register_state_dict_post_hook(lambda o, saved: {**saved, "seen": saved["state"].pop("test")})
    saved = opt.state_dict()
    assert saved["seen"] == 1 and list(saved["state"]) == [0, 1, 2, 3]
    walk(opt, stream(owned(opt), 1))
    assert opt.report()["step"] == 8


def test_load_state_dict_hooks() -> None:
    """In torch's order; what they change is what is loaded, and what they see is already complete."""
    opt, order = trained("full", dtype=torch.bfloat16), []
    new = fresh("full", opt)

    def other_rate(_: Any, given: dict[str, Any]) -> dict[str, Any]:
        order.append("pre")
        given = copy.deepcopy(given)
        given["param_groups"][0]["lr"] = 0.5
        given["state"][0]["filter.m0"].fill_(3.0)
        return given

    def look(o: Descent) -> None:
        order.append(str(o.state[owned(o)[0]]["filter.m0"].dtype))

    new.register_load_state_dict_pre_hook(other_rate)
    new.register_load_state_dict_pre_hook(lambda *_: order.append("first"), prepend=True)
    new.register_load_state_dict_post_hook(look)
    new.load_state_dict(opt.state_dict())
    assert order == ["first", "pre", "torch.float32"]
    assert new.param_groups[0]["lr"] == 0.5 and bool((new.state[owned(new)[0]]["filter.m0"] == 3.0).all())


def test_a_refused_checkpoint_leaves_no_hooks_behind() -> None:
    opt, other = trained("adam"), trained("full")
    for _ in range(2):
        with pytest.raises(CheckpointError):
            opt.load_state_dict(other.state_dict())
    assert not opt._optimizer_load_state_dict_pre_hooks and not opt._optimizer_load_state_dict_post_hooks


# --- torch.distributed.checkpoint ---------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["nested", "flat"])
def options(request: pytest.FixtureRequest) -> StateDictOptions:
    """Both forms in which DCP gives an optimizer's state."""
    return StateDictOptions(flatten_optimizer_state_dict=request.param)


def model_of(opt: Descent) -> nn.Module:
    return nn.ParameterList(owned(opt))


@pytest.mark.parametrize("name", FEW)
def test_dcp_asks_a_fresh_optimizer(name: str, options: StateDictOptions) -> None:
    """It takes a step with zero gradients and lr = 0, and nobody notices."""
    opt, other = OPTIMIZERS[name](weights()), OPTIMIZERS[name](weights())
    get_optimizer_state_dict(model_of(opt), opt, options=options)
    assert {float(entry["step"]) for entry in opt.state.values()} == {0.0}
    opt.zero_grad()
    assert_same_path(opt, other)


@pytest.mark.parametrize("into", ["fresh", "trained"])
@pytest.mark.parametrize("name", ["sgd", "adamw", "lion-auto", "gap-sgd", "full", "late", "each", "patient", "cone"])
def test_dcp_round_trip(name: str, into: str, options: StateDictOptions) -> None:
    """Loaded by names into another optimizer, ten more steps are those of the uninterrupted one."""
    opt = trained(name)
    saved = through_a_file(get_optimizer_state_dict(model_of(opt), opt, options=options))
    new = fresh(name, opt)
    if into == "trained":
        walk(new, stream(owned(new), 3, seed=9))
        for p, q in zip(owned(new), owned(opt), strict=True):
            p.detach().copy_(q.detach())
    new.zero_grad()
    set_optimizer_state_dict(model_of(new), new, saved, options=options)
    assert_same_path(opt, new)


@pytest.mark.parametrize("name", ["sgd", "adamw-auto", "full"])
def test_dcp_goes_back_to_the_beginning(name: str, options: StateDictOptions) -> None:
    """What was saved before the first step loads into a trained optimizer."""
    new = OPTIMIZERS[name](weights())
    saved = through_a_file(get_optimizer_state_dict(model_of(new), new, options=options))
    opt = trained(name)
    set_optimizer_state_dict(model_of(opt), opt, saved, options=options)
    assert {float(entry["step"]) for entry in opt.state.values()} == {0.0}


def test_dcp_after_frozen_and_unused_parameters(options: StateDictOptions) -> None:
    """Strict loading wants state for everything that can be trained, used or not."""
    ws = weights()
    ws[3].requires_grad_(False)
    opt = OPTIMIZERS["adamw-auto"](ws)
    feed(ws, [None, *stream(ws, 1)[0][1:]])
    opt.step()
    saved = through_a_file(get_optimizer_state_dict(model_of(opt), opt, options=options))
    new = fresh("adamw-auto", opt)
    set_optimizer_state_dict(model_of(new), new, saved, options=options)
    assert [float(new.state[p]["step"]) for p in owned(new)[:3]] == [0.0, 1.0, 1.0]


def test_the_loader_takes_the_keyword_that_dcp_uses() -> None:
    opt = trained("full")
    new = fresh("full", opt)
    new.load_state_dict(state_dict=opt.state_dict())
    assert_same_path(opt, new)


def test_per_parameter_choices_survive_dcp(options: StateDictOptions) -> None:
    """Each parameter's own."""
    opt = AdamW(weights(), lr=0.01, betas=BANK, selector=Greedy(scope="parameter"))
    walk(opt, stream(owned(opt), 7))
    saved = through_a_file(get_optimizer_state_dict(model_of(opt), opt, options=options))
    new = fresh("each", opt)
    set_optimizer_state_dict(model_of(new), new, saved, options=options)
    chosen = [[float(o.state[p]["filter.choice"]) for p in owned(o)] for o in (opt, new)]
    assert chosen[0] == chosen[1] and len(set(chosen[0])) > 1
