"""Bad input: what is refused, with which words, and that nothing has changed then."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import fallline
from fallline import (
    EMA,
    SGD,
    Adam,
    AdamW,
    Bank,
    Cone,
    Constant,
    Coupled,
    Decoupled,
    Descent,
    Euclid,
    Fixed,
    Greedy,
    HeavyBall,
    Lion,
    Nesterov,
    NonFiniteError,
    Probe,
    QuasiHyperbolic,
    Replay,
    Rule,
    SecondMoment,
    SlotError,
    Span,
    gap_adam,
    gap_sgd,
)
from kit import BANK, CHOOSING, OPTIMIZERS, differences, feed, owned, snapshot, stream, trained, walk, weights

ZOO = [SGD, Adam, AdamW, Lion]
BETAS = [Adam, AdamW, Lion]


# --- parameters: torch's own types and words ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ZOO)
@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (lambda w: w, TypeError, "params argument given to the optimizer should be an iterable of Tensors or dicts"),
        (lambda w: [], ValueError, "optimizer got an empty parameter list"),
        (lambda w: [1.0], TypeError, "optimizer can only optimize Tensors, but one of the params is float"),
        (lambda w: [w * 2], ValueError, "can't optimize a non-leaf Tensor"),
        (lambda w: [{"params": [w]}, {"params": [w]}], ValueError, "some parameters appear in more than one"),
        (lambda w: [{"params": {w}}], TypeError, "optimizer parameters need to be organized in ordered collections"),
        (lambda w: [("w", w), Parameter(w + 1)], ValueError, "all optimizer params should be with/without names"),
    ],
    ids=["tensor", "empty", "number", "non-leaf", "twice", "set", "half-named"],
)
def test_malformed_parameters(kind: type[Descent], given: Callable[[Any], Any], error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        kind(given(Parameter(torch.ones(2))))


def test_duplicate_in_a_group_warns() -> None:
    w = Parameter(torch.ones(2))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        SGD([w, w])


@pytest.mark.parametrize("kind", ZOO)
@pytest.mark.parametrize(
    "form",
    [
        lambda ws: ws,
        lambda ws: (w for w in ws),
        lambda ws: [("a", ws[0]), ("b", ws[1])],
        lambda ws: ((name, w) for name, w in zip("ab", ws, strict=True)),
        lambda ws: [{"params": ws[:1]}, {"params": ws[1]}],
        lambda ws: [{"params": [("a", ws[0])]}, {"params": [("b", ws[1])]}],
        lambda ws: [{"params": []}, {"params": ws}],
    ],
    ids=["list", "generator", "named", "named-generator", "groups", "named-groups", "empty-first-group"],
)
def test_every_form_of_parameters_works(kind: type[Descent], form: Callable[[Any], Any]) -> None:
    ws = weights([(3,), (2, 2)])
    opt = kind(params=form(ws))
    walk(opt, stream(ws, 2))
    assert [p is w for p, w in zip(owned(opt), ws, strict=True)] == [True, True]
    assert differences([w.detach() for w in ws], [w.detach() for w in weights([(3,), (2, 2)])]) != []


# --- numbers ------------------------------------------------------------------------------------------------------


def bad_number(kind: Any, given: dict[str, Any], words: str) -> None:
    """Refused as an argument, and as a group's own value."""
    fine = Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=re.escape(words)):
        kind([fine], **given)
    with pytest.raises(ValueError, match=re.escape(words)):
        kind([{"params": [fine], **given}])


@pytest.mark.parametrize("kind", ZOO)
@pytest.mark.parametrize("lr", [-0.1, math.nan, None, "0.1"])
def test_bad_learning_rate(kind: Any, lr: Any) -> None:
    bad_number(kind, {"lr": lr}, f"Invalid learning rate: {lr}")


@pytest.mark.parametrize("kind", ZOO)
def test_negative_tensor_as_learning_rate(kind: Any) -> None:
    bad_number(kind, {"lr": torch.tensor(-0.1)}, "Invalid learning rate")


@pytest.mark.parametrize("kind", ZOO)
def test_long_tensor_as_learning_rate(kind: Any) -> None:
    bad_number(kind, {"lr": torch.ones(2)}, "Tensor lr must be 1-element")


@pytest.mark.parametrize("kind", ZOO)
def test_bad_weight_decay(kind: Any) -> None:
    bad_number(kind, {"weight_decay": -1.0}, "Invalid weight_decay value: -1.0")


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_bad_epsilon(kind: Any) -> None:
    bad_number(kind, {"eps": -1.0}, "Invalid epsilon value: -1.0")


def test_a_bad_default_is_refused_where_every_group_has_its_own() -> None:
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        SGD([{"params": weights(), "lr": 0.1}], lr=-1)


@pytest.mark.parametrize(
    ("momentum", "words"),
    [
        (1.0, "Invalid momentum value: 1.0; it must be a number in [0, 1), a sequence of such, or 'auto'."),
        (-0.1, "Invalid momentum value: -0.1"),
        (True, "Invalid momentum value: True"),
        (None, "Invalid momentum value: None"),
        ("always", "Invalid momentum value: 'always'; give a number, a sequence of candidates, or 'auto'."),
        ((), "the bank of candidates is empty"),
        ((0.5, 1.0), "Invalid momentum value candidate: 1.0"),
        ((0.5, -0.1), "Invalid momentum value candidate: -0.1"),
        ((0.5, "auto"), "Invalid momentum value candidate: 'auto'"),
        ((0.9, 0.5, 0.9), "candidates must differ, but got (0.5, 0.9, 0.9)"),
        (torch.tensor(0.9), "Of a tensor, give .item() or .tolist()."),
    ],
    ids=str,
)
def test_bad_momentum(momentum: Any, words: str) -> None:
    bad_number(SGD, {"momentum": momentum}, words)


@pytest.mark.parametrize("momentum", [np.float32(0.5), np.array([0.5, 0.75]), (np.float64(0.5), 0)], ids=repr)
def test_numpys_numbers_are_numbers(momentum: Any) -> None:
    opt = SGD(weights(), momentum=momentum)
    walk(opt, stream(owned(opt), 2))
    assert type(opt.param_groups[0]["momentum"]) is float


@pytest.mark.parametrize("kind", BETAS)
@pytest.mark.parametrize(
    ("betas", "words"),
    [
        (("auto", 1.2), "Invalid beta parameter at index 1: 1.2; it must be a number in [0, 1)."),
        (("auto", "auto"), "Invalid beta parameter at index 1: 'auto'"),
        ((0.9, None), "Invalid beta parameter at index 1: None"),
        ((1.2, 0.9), "Invalid beta parameter at index 0: 1.2"),
        ((None, 0.9), "Invalid beta parameter at index 0: None"),
        (("never", 0.9), "Invalid beta parameter at index 0: 'never'"),
        (((), 0.9), "the bank of candidates is empty"),
        (((0.5, 0.5), 0.9), "candidates must differ, but got (0.5, 0.5)"),
        (((0.5, 1.0), 0.9), "Invalid beta parameter at index 0 candidate: 1.0"),
        ((0.9,), "Invalid betas: (0.9,); give a pair"),
        ((0.9, 0.9, 0.9), "Invalid betas: (0.9, 0.9, 0.9); give a pair"),
        ("auto", "Invalid betas: 'auto'; give a pair (momentum, decay of the squares), like ('auto', 0.999)."),
        (0.9, "Invalid betas: 0.9"),
        (None, "Invalid betas: None"),
    ],
    ids=str,
)
def test_bad_betas(kind: Any, betas: Any, words: str) -> None:
    bad_number(kind, {"betas": betas}, words)


def test_lion_needs_an_average() -> None:
    bad_number(Lion, {"betas": (0.9, 0.0)}, "Invalid beta parameter at index 1: 0")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires a momentum and zero"),
        ({"momentum": "auto", "dampening": 0.1}, "Invalid dampening: 0.1"),
    ],
)
def test_sgd_options_that_do_not_go_together(given: dict[str, Any], words: str) -> None:
    bad_number(SGD, given, words)


def test_bad_reference() -> None:
    with pytest.raises(ValueError, match=r"Invalid reference: 1\.0"):
        SGD(weights(), momentum="auto", reference=1.0)


@pytest.mark.parametrize("build", [gap_sgd, gap_adam])
def test_the_papers_optimizers_check_their_banks(build: Any) -> None:
    bad = (0.5, 1.5)
    with pytest.raises(ValueError, match=r"candidate: 1.5"):
        build(weights(), **({"momenta": bad} if build is gap_sgd else {"betas": (bad, 0.999)}))


# --- options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ZOO)
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"delay": 2}, "Invalid delay: 2"),
        ({"chunk_bytes": "x"}, "Invalid chunk_bytes: 'x'"),
        ({"chunk_bytes": -1}, "Invalid chunk_bytes: -1"),
        ({"on_nonfinite": "hope"}, "Invalid on_nonfinite: 'hope'; choose one of 'skip', 'raise', 'ignore'."),
        ({"bank": "half"}, "Invalid bank: 'half'; choose 'probe' (one buffer and a sample) or 'full' (K buffers)."),
    ],
)
def test_unknown_options(kind: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        kind(weights(), **given)


@pytest.mark.parametrize("kind", ZOO)
def test_what_would_be_ignored_is_refused(kind: Any) -> None:
    """A selector where nothing is to be chosen, and options of the whole optimizer in a group."""
    with pytest.raises(ValueError, match="there is nothing to choose"):
        kind(weights(), selector=Greedy())
    with pytest.raises(ValueError, match="there is nothing to choose"):
        kind(weights(), bank="full")
    with pytest.raises(ValueError, match=r"selector, delay: these belong to the whole optimizer; pass them to"):
        kind([{"params": weights(), "selector": Greedy(), "delay": 1}])
    bank = {"momentum": (0.9,)} if kind is SGD else {"betas": ((0.9,), 0.99)}
    kind(weights(), **bank, bank="full", selector=Greedy())  # a bank of one is still a bank
    kind([{"params": weights(), **({"momentum": "auto"} if kind is SGD else {"betas": BANK})}], selector=Greedy())


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_a_groups_flags_are_refused_too(kind: Any) -> None:
    with pytest.raises(RuntimeError, match="cannot be `True` together"):
        kind([{"params": weights(), "fused": True, "foreach": True}])
    kind([{"params": weights(), "amsgrad": True, "fused": None}])


@pytest.mark.parametrize("kind", ZOO)
@pytest.mark.parametrize("wrong", ["momentun", "weight_decy", "differentiable"])
def test_misspelt_or_missing_keyword(kind: Any, wrong: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{wrong}'"):
        kind(weights(), **{wrong: 0.5})


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_fused_and_foreach_exclude_each_other(kind: Any) -> None:
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        kind(weights(), fused=True, foreach=True)
    kind(weights(), fused=False)


@pytest.mark.parametrize("kind", [SGD, Lion])
def test_amsgrad_is_refused_where_it_would_do_nothing(kind: Any) -> None:
    with pytest.raises(ValueError, match=rf"{kind.__name__} does not know amsgrad"):
        kind([{"params": weights(), "amsgrad": True}])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Greedy(scope="layer"), "Invalid scope: 'layer'; choose one of 'global', 'parameter'."),
        (lambda: Greedy(score="validation"), "Invalid score: 'validation'; choose one of 'same', 'held-out'."),
        (lambda: Greedy(power="some"), "Invalid power: 'some'; choose one of 'exact', 'asymptotic'."),
        (lambda: Greedy(smoothing=1.0), "Invalid smoothing: 1.0; a decay factor lies in [0, 1)."),
        (lambda: Greedy(hysteresis=0), "Invalid hysteresis: 0"),
        (lambda: Greedy(hysteresis=2.5), "Invalid hysteresis: 2.5"),  # type: ignore[arg-type]
        (lambda: Replay((0.5,)), "Replay needs a path of at least one choice"),  # type: ignore[arg-type]
        (lambda: Replay((0,), scope="layer"), "Invalid scope: 'layer'"),
        (lambda: Fixed(score="z"), "Invalid score: 'z'"),
        (lambda: HeavyBall(0.9, math.nan), "Invalid dampening: nan; it is a number in [0, 1]."),
        (lambda: Decoupled("x"), "Invalid weight_decay value: x"),  # type: ignore[arg-type]
        (lambda: SecondMoment(eps="x"), "Invalid epsilon value: x"),  # type: ignore[arg-type]
        (lambda: Span(scope="layer"), "Invalid scope: 'layer'"),
        (lambda: Cone(smoothing=-1), "Invalid smoothing: -1"),
        (lambda: Replay(()), "Replay needs a path of at least one choice"),
        (lambda: EMA(1.0), "Invalid beta: 1.0; a decay factor lies in [0, 1)."),
        (lambda: HeavyBall(1.0), "Invalid momentum: 1.0"),
        (lambda: Nesterov(-1.0), "Invalid momentum: -1.0"),
        (lambda: QuasiHyperbolic(0.9, -1.0), "Invalid nu: -1.0"),
        (lambda: SecondMoment(1.0), "Invalid beta: 1.0"),
        (lambda: SecondMoment(eps=-1.0), "Invalid epsilon value: -1.0"),
        (lambda: Decoupled(-1.0), "Invalid weight_decay value: -1.0"),
        (lambda: Coupled(-1.0), "Invalid weight_decay value: -1.0"),
        (lambda: Bank((), Greedy()), "A bank needs at least one candidate momentum, but got ()"),
        (lambda: Bank(0.9, Greedy()), "A bank needs at least one candidate momentum, but got 0.9"),  # type: ignore[arg-type]
        (lambda: Probe((0.9, 0.9), Greedy()), "A bank's candidates must differ, but got (0.9, 0.9)."),
        (lambda: Bank((0.5, 1.0), Greedy()), "Invalid beta: 1.0"),
    ],
)
def test_bad_numbers_of_parts(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        make()


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (Replay((0, 5)), "Replay's path names candidates outside 0..2: it was recorded from another bank."),
        (Cone(), "Cone tries every subset of the bank and takes at most 6 candidates, but got 7. Use Span."),
    ],
)
def test_a_selector_that_does_not_fit_its_bank_is_refused_at_once(selector: Any, words: str) -> None:
    bank = (0.5, 0.9, 0.99) if isinstance(selector, Replay) else tuple(k / 10 for k in range(7))
    with pytest.raises(ValueError, match=re.escape(words)):
        AdamW(weights(), betas=(bank, 0.999), bank="full", selector=selector)


# --- slots --------------------------------------------------------------------------------------------------------

FITTING = {"filter": EMA(), "metric": Euclid(), "step": Constant(), "combine": Decoupled()}


@pytest.mark.parametrize("part", [*FITTING.values(), None, 0.9, "EMA", EMA], ids=repr)
@pytest.mark.parametrize("slot", FITTING)
def test_a_slot_takes_its_kind_only(slot: str, part: Any) -> None:
    """The error names the slot, what it takes, and what it got."""
    if part is FITTING[slot]:
        return
    got = type(part).__name__ if part in FITTING.values() else repr(part)
    with pytest.raises(SlotError, match=f"(?s)slot '{slot}' of a Rule takes a .*but got {re.escape(got)}"):
        Rule(**{**FITTING, slot: part})


def test_the_error_says_where_a_misplaced_part_belongs() -> None:
    with pytest.raises(SlotError, match=r"got Euclid \(a part for the slot 'metric'\)"):
        Rule(Euclid(), Euclid(), Constant(), Decoupled())  # type: ignore[arg-type]


@pytest.mark.parametrize("slot", ["before", "after"])
def test_maps_may_be_left_out_but_not_misplaced(slot: str) -> None:
    Rule(**FITTING, **{slot: None})
    with pytest.raises(SlotError, match=f"slot '{slot}' of a Rule takes a Map"):
        Rule(**FITTING, **{slot: EMA()})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Bank((0.5,), "greedy"), "Bank needs a Selector, such as Greedy(), but got 'greedy'."),  # type: ignore[arg-type]
        (lambda: Probe((0.5,), Greedy(), 3), "Probe needs a Scale, such as UnitGain(), but got 3."),  # type: ignore[arg-type]
        (lambda: Probe((0.5, 0.9), Span()), "mixes candidates, but a Probe has only one full buffer. Use a Bank."),
        (lambda: SGD(weights(), momentum="auto", selector="x"), "needs a Selector"),  # type: ignore[arg-type]
        (lambda: SGD(weights(), momentum="auto", selector=Span()), "Use a Bank."),
        (lambda: SGD(weights(), momentum="auto", scale=3), "needs a Scale"),  # type: ignore[arg-type]
    ],
)
def test_selectors_and_scales_are_checked(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(SlotError, match=re.escape(words)):
        make()


@pytest.mark.parametrize("given", [None, EMA(), "adam"], ids=repr)
def test_descent_needs_a_rule(given: Any) -> None:
    with pytest.raises(TypeError, match=f"Descent needs a Rule, but got {re.escape(repr(given))}"):
        Descent(weights(), given)


def test_a_rule_cannot_be_changed() -> None:
    rule = Rule(**FITTING)
    with pytest.raises(AttributeError, match="cannot assign to field"):
        rule.filter = EMA(0.5)  # type: ignore[misc]


# --- groups -------------------------------------------------------------------------------------------------------


def test_groups_may_have_their_own_values() -> None:
    a, b, c = weights([(2,), (3,), (4,)])
    groups = [{"params": [a], "lr": 0.1}, {"params": [b], "momentum": 0.5}, {"params": [c], "momentum": (0.9, 0.5)}]
    opt = SGD(groups, lr=0.2, momentum="auto")
    told = [(g["lr"], g["momentum"], g["candidates"]) for g in opt.param_groups]
    assert told == [(0.1, 0.5, (0.5, 0.9, 0.99)), (0.2, 0.5, None), (0.2, 0.5, (0.5, 0.9))]


def test_unknown_keys_of_a_group_are_kept() -> None:
    opt = AdamW([{"params": weights(), "name": "decay", "lr_scale": 0.5}])
    walk(opt, stream(owned(opt), 1))
    assert (opt.param_groups[0]["name"], opt.param_groups[0]["lr_scale"]) == ("decay", 0.5)


def test_the_callers_group_is_not_written_to() -> None:
    given = {"params": weights(), "betas": ("auto", 0.999)}
    kept = dict(given)
    AdamW([given])
    AdamW(weights(seed=1)).add_param_group(given)
    assert given.keys() == kept.keys() and all(given[key] is kept[key] for key in kept)


@pytest.mark.parametrize(
    "bad",
    [{"lr": -1.0}, {"betas": ("auto", 1.2)}, {"betas": ((0.5, 1.5), 0.9)}, {"weight_decay": -1}, {"eps": -1}],
    ids=str,
)
@pytest.mark.parametrize("name", ["adamw", "adamw-auto"])
def test_a_refused_group_leaves_the_optimizer_as_it_was(name: str, bad: dict[str, Any]) -> None:
    """Nothing is added, and the next steps are the same as if nothing had been tried."""
    tried, untried = trained(name), trained(name)
    before = snapshot(tried)
    with pytest.raises(ValueError, match="Invalid"):
        tried.add_param_group({"params": weights([(3,)]), **bad})
    assert differences(snapshot(tried), before) == []
    for opt in (tried, untried):
        walk(opt, stream(owned(opt), 3, seed=5))
    assert differences(snapshot(tried), snapshot(untried)) == []


@pytest.mark.parametrize("given", [{"params": {Parameter(torch.ones(2))}}, {"params": [1.0]}], ids=["set", "number"])
def test_malformed_group_leaves_the_optimizer_as_it_was(given: dict[str, Any]) -> None:
    opt = trained("adamw-auto")
    before = snapshot(opt)
    with pytest.raises(TypeError):
        opt.add_param_group(given)
    assert differences(snapshot(opt), before) == []


# --- gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e39, 1e-60])
def test_float64_has_its_own_range(value: float) -> None:
    """Not infinite and not zero, though float32 would say so."""
    w = Parameter(torch.zeros(3, dtype=torch.float64))
    opt = SGD([w], lr=0.0 if value < 1 else 1e-39, momentum=0.9)
    walk(opt, [[torch.full_like(w, value)]])
    assert (float(opt.state[w]["step"]), opt.param_groups[0]["skipped"]) == (1, 0)


def break_gradient(params: list[Tensor], value: float = math.nan, which: int = 1) -> None:
    """Good gradients, but for one number."""
    feed(params, stream(params, 1)[0])
    params[which].grad.view(-1)[-1] = value  # type: ignore[union-attr]


def untold(taken: dict[str, Any]) -> dict[str, Any]:
    """A snapshot without the counters of skipped steps."""
    return {**taken, "groups": [{k: x for k, x in g.items() if not k.startswith("skipped")} for g in taken["groups"]]}


@pytest.mark.parametrize(
    ("name", "value"), [*((name, math.nan) for name in OPTIMIZERS), ("adamw", math.inf), ("sgd-auto", -math.inf)]
)
def test_a_non_finite_step_is_skipped(name: str, value: float) -> None:
    """Parameters, momentum, pays and clocks stay to the last bit, and training goes on as if it had not been."""
    opt, other = trained(name), trained(name)
    before = snapshot(opt)
    break_gradient(owned(opt), value)
    with pytest.warns(UserWarning, match="is not finite"):
        opt.step()
    assert differences(untold(snapshot(opt)), untold(before)) == []
    for each in (opt, other):
        walk(each, stream(owned(each), 4, seed=5))
    assert differences(untold(snapshot(opt)), untold(snapshot(other))) == []


@pytest.mark.parametrize("name", CHOOSING)
def test_a_non_finite_first_step_is_skipped(name: str) -> None:
    """Also what the groups show stays as it was."""
    opt, fresh = OPTIMIZERS[name](weights()), OPTIMIZERS[name](weights())
    fresh.state_dict()  # makes state
    break_gradient(owned(opt))
    with pytest.warns(UserWarning, match="is not finite"):
        opt.step()
    assert differences(untold(snapshot(opt)), untold(snapshot(fresh))) == []


def test_skipped_steps_are_counted() -> None:
    opt = trained("adamw-auto")
    break_gradient(owned(opt))
    with pytest.warns(UserWarning):
        opt.step()
    opt.step()
    assert (opt.report()["skipped"], opt.param_groups[0]["skipped_in_a_row"]) == (2, 2)
    walk(opt, stream(owned(opt), 1))
    assert (opt.report()["skipped"], opt.param_groups[0]["skipped_in_a_row"]) == (2, 0)


def test_the_first_skip_warns_and_names_the_parameter() -> None:
    ws = weights([(2,), (3,)])
    opt = AdamW([("layer.weight", ws[0]), ("layer.bias", ws[1])])
    break_gradient(ws, which=1)
    with pytest.warns(UserWarning, match="gradient of 'layer.bias' is not finite.*step was skipped") as told:
        opt.step()
    assert len(told) == 1 and told[0].filename == __file__, "the warning points at the call of step"
    opt.step()  # warnings are errors: a second one would raise


def test_without_names_the_warning_gives_the_place() -> None:
    ws = weights([(2,), (3,), (4,)])
    opt = AdamW([{"params": ws[:1]}, {"params": ws[1:]}])
    break_gradient(ws, which=2)
    with pytest.warns(UserWarning, match="gradient of parameter 1 of group 1 is not finite"):
        opt.step()


def test_ten_skips_in_a_row_raise() -> None:
    """Nine are bad luck, and a good step in between starts the count anew."""
    opt = trained("sgd-auto")
    break_gradient(owned(opt))
    with pytest.warns(UserWarning):
        opt.step()
    for _ in range(8):
        opt.step()
    walk(opt, stream(owned(opt), 1))
    break_gradient(owned(opt))
    for _ in range(9):
        opt.step()
    before = snapshot(opt)
    with pytest.raises(NonFiniteError, match=r"parameter 1 of group 0 is not finite .*10 steps in a row were skipped"):
        opt.step()
    assert differences(untold(snapshot(opt)), untold(before)) == []


@pytest.mark.parametrize("name", ["adamw", "adamw-auto", "sgd", "gap-sgd"])
def test_policy_raise(name: str) -> None:
    """The first one raises, and nothing has changed."""
    opt = trained(name)
    opt = type(opt)(owned(opt), on_nonfinite="raise")
    walk(opt, stream(owned(opt), 2))
    before = snapshot(opt)
    break_gradient(owned(opt))
    with pytest.raises(NonFiniteError, match=r"parameter 1 of group 0 is not finite .*Nothing was changed"):
        opt.step()
    assert differences(untold(snapshot(opt)), untold(before)) == []


def test_policy_ignore_lets_it_in() -> None:
    opt = AdamW(weights(), on_nonfinite="ignore")
    break_gradient(owned(opt))
    opt.step()
    assert [bool(p.isfinite().all()) for p in owned(opt)] == [True, False, True, True]
    assert opt.report()["skipped"] == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_sparse_gradients_are_refused_before_anything_is_touched(name: str) -> None:
    opt = trained(name)
    before = snapshot(opt)
    feed(owned(opt), stream(owned(opt), 1)[0])
    last = owned(opt)[0]
    last.grad = last.grad.to_sparse()  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match=f"{type(opt).__name__} does not support sparse gradients"):
        opt.step()
    assert differences(snapshot(opt), before) == []


def test_all_errors_are_public() -> None:
    assert all(issubclass(getattr(fallline, name), Exception) for name in fallline.__all__ if name.endswith("Error"))
