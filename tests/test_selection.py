"""What choosing must keep to: it costs nothing where there is no choice, it holds still, and it says why."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from fallline import (
    EMA,
    SGD,
    AdamW,
    Bank,
    Constant,
    Decoupled,
    Descent,
    Euclid,
    Greedy,
    Lion,
    Probe,
    Replay,
    Rule,
    SlotError,
    Span,
    UnitGain,
    UnitPower,
)
from fallline.core.kernel import formula
from fallline.statistics.sample import sample
from kit import (
    BANK,
    CHOOSING,
    FEW,
    NAMED,
    OPTIMIZERS,
    QUICK,
    Gradients,
    differences,
    owned,
    readable,
    snapshot,
    stream,
    trained,
    walk,
    weights,
)

MOMENTA = BANK[0]
FULL = {"betas": BANK, "bank": "full", "lr": 0.01, "selector": QUICK}


def choices(opt: Descent, gradients: Gradients, each: bool = False) -> list[Any]:
    """The index of the candidate that is chosen after each step, of the first parameter or of each."""
    told = []
    for now in gradients:
        walk(opt, [now])
        seen = [int(opt.state[p]["filter.weights"].argmax()) for p in owned(opt)]
        told.append(seen if each else seen[0])
    return told


# --- no choice, no cost -------------------------------------------------------------------------------------------


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who measured, once for each call."""
    heard: list[str] = []

    def watch(kind: type, name: str) -> None:
        original = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda self, *args: heard.append(name) or original(self, *args))

    for kind, name in itertools.product((Bank, Probe), ("measure", "decide")):
        watch(kind, name)
    return heard


ONE: dict[str, tuple[Callable[..., Descent], Callable[..., Descent]]] = {
    "SGD": (partial(SGD, momentum=(0.9,)), partial(SGD, momentum=0.9)),
    "SGD with a full bank": (partial(SGD, momentum=(0.9,), bank="full"), partial(SGD, momentum=0.9)),
    "Nesterov": (partial(SGD, momentum=[0.9], nesterov=True), partial(SGD, momentum=0.9, nesterov=True)),
    "AdamW": (partial(AdamW, betas=((0.9,), 0.999)), partial(AdamW, betas=(0.9, 0.999))),
    "AdamW, late": (partial(AdamW, betas=((0.9,), 0.999), delay=1), partial(AdamW, betas=(0.9, 0.999))),
    "Lion": (partial(Lion, betas=((0.9,), 0.99)), partial(Lion, betas=(0.9, 0.99))),
}


@pytest.mark.parametrize("kind", ONE)
def test_a_bank_of_one_is_the_fixed_recipe(kind: str, measured: list[str]) -> None:
    """Bit for bit, state and options too, and nothing is measured."""
    chosen, fixed = (build(weights(), lr=0.01) for build in ONE[kind])
    for opt in (chosen, fixed):
        walk(opt, stream(owned(opt), 9))
    assert differences(snapshot(chosen), snapshot(fixed)) == [] and measured == []


@pytest.mark.parametrize("kind", [Bank, Probe])
def test_a_part_with_one_candidate_measures_nothing(kind: type[Bank] | type[Probe], measured: list[str]) -> None:
    """Also where a rule is written by hand; the average is that of the fixed filter, to rounding."""
    chosen, fixed = (
        Descent(weights(), Rule(part, Euclid(), Constant(), Decoupled()), lr=0.01)
        for part in (kind((0.9,), Greedy()), EMA(0.9))
    )
    for opt in (chosen, fixed):
        walk(opt, stream(owned(opt), 9))
    torch.testing.assert_close([p.detach() for p in owned(chosen)], [p.detach() for p in owned(fixed)])
    assert measured == [] and not any("pay" in key for key in chosen.state[owned(chosen)[0]])


@pytest.mark.parametrize("name", [name for name in NAMED if name not in CHOOSING])
def test_fixed_recipes_measure_nothing(name: str, measured: list[str]) -> None:
    trained(name)
    assert measured == []


def test_a_choice_measures_once_per_step(measured: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One look, one decision for everyone, once the plan is made; seen where Python performs its formulas."""
    monkeypatch.setattr(formula.Formula, "_bind", lambda *_: None)
    opt = trained("full", steps=1)
    measured.clear()
    walk(opt, stream(owned(opt), 3))
    assert measured == ["measure", "decide"] * 3


# --- what must not matter -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bank", ["probe", "full"])
@pytest.mark.parametrize("order", list(itertools.permutations(MOMENTA)), ids=str)
def test_order_of_candidates_does_not_matter(order: tuple[float, ...], bank: str) -> None:
    opts = [AdamW(weights(), lr=0.01, betas=(given, 0.999), bank=bank) for given in (order, MOMENTA)]
    for opt in opts:
        walk(opt, stream(owned(opt), 13))
    assert differences(snapshot(opts[0]), snapshot(opts[1])) == []


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
@pytest.mark.parametrize("name", ["full", "each", "sgd-auto", "gap-sgd", "patient"])
def test_scale_of_the_loss_does_not_matter(name: str, scale: float) -> None:
    """The same choices, whatever the loss is multiplied with."""
    plain, scaled = (OPTIMIZERS[name](weights(dtype=torch.float64)) for _ in range(2))
    gradients = stream(owned(plain), 13)
    told = choices(plain, gradients, each=True)
    assert told == choices(scaled, [[g * scale for g in now] for now in gradients], each=True)
    assert len({tuple(now) for now in told}) > 1, "the stream makes them switch"


@pytest.mark.parametrize("build", [partial(AdamW, betas=BANK), partial(SGD, momentum=MOMENTA)], ids=["AdamW", "SGD"])
@pytest.mark.parametrize(("sign", "best"), [(1.0, 0.99), (-1.0, 0.5)], ids=["steady", "alternating"])
def test_the_best_known_arm_is_found(build: Any, sign: float, best: float) -> None:
    """Steady gradients ask for the longest memory, alternating ones for the shortest."""
    opt = build(weights())
    drift = stream(owned(opt), 1)[0]
    walk(opt, [[g * sign**n for g in drift] for n in range(30)])
    assert opt.report()["groups"][0]["momentum"] == best


# --- holding still ------------------------------------------------------------------------------------------------


def patient(pays: list[list[float]], hysteresis: int) -> list[int]:
    """The definition: a challenger that was best for so many steps in a row takes over; ties change nothing."""
    choice, rival, lead, told = 0, -1, 0, []
    for pay in pays:
        best = max(range(len(pay)), key=lambda k: pay[k])
        leads = pay[best] - pay[choice] > 1e-6 * max(map(abs, pay))
        lead = (lead + 1 if best == rival else 1) if leads else 0
        rival = best
        choice = best if leads and lead >= hysteresis else choice
        told.append(choice)
    return told


@pytest.mark.parametrize("hysteresis", [1, 2, 3])
def test_a_challenger_must_lead_for_so_many_steps(hysteresis: int) -> None:
    """Pays do not depend on what was chosen, so a run that switches freely tells when this one may."""
    free, held = AdamW(weights(), **FULL), AdamW(weights(), **FULL | {"selector": Greedy(hysteresis=hysteresis)})
    gradients, pays = stream(owned(free), 40), []
    for now in gradients:
        walk(free, [now])
        pays.append(free.report()["groups"][0]["pay"])
    expected = patient(pays, hysteresis)
    assert choices(held, gradients) == expected
    switches = sum(a != b for a, b in itertools.pairwise([0, *expected]))
    assert held.report()["groups"][0]["switches"] == switches > 0


def test_hysteresis_and_smoothing_calm() -> None:
    """More of either, fewer switches."""
    selectors = [Greedy(), Greedy(hysteresis=3), Greedy(smoothing=0.9)]
    opts = [AdamW(weights(), **FULL | {"selector": selector}) for selector in selectors]
    for opt in opts:
        walk(opt, stream(owned(opt), 60))
    free, held, smooth = (opt.report()["groups"][0]["switches"] for opt in opts)
    assert held < free and smooth < free


def test_the_first_step_is_a_tie() -> None:
    """All candidates hold the same thing; the shortest memory stays."""
    assert {choices(OPTIMIZERS[name](weights()), stream(weights(), 1))[0] for name in ("full", "each", "sgd-auto")} == {
        0
    }


# --- mixtures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [partial(SGD, momentum=(0.5, 0.9)), partial(AdamW, betas=((0.5, 0.9), 0.999))])
def test_a_mixture_never_walks_uphill_because_of_its_scale(build: Any) -> None:
    """Span's weights may be negative and its taps may sum to less than nothing: its output pays all the same."""
    opt = build(weights([(6,)]), lr=2.0**-7, bank="full", selector=Span(), weight_decay=0.0)
    (p,) = owned(opt)
    for n in range(12):
        g = torch.full((6,), 1.0 if n % 2 == 0 else -0.9)
        before = p.detach().clone()
        walk(opt, [[g]])
        assert torch.dot(p.detach() - before, g) < 0
        assert 0 <= opt.report()["groups"][0]["momentum"] < 1


def test_a_mixture_needs_a_scale_that_takes_signs() -> None:
    with pytest.raises(SlotError, match=r"taps may sum to nothing, and UnitGain\(\) divides by that sum"):
        AdamW(weights(), betas=BANK, bank="full", selector=Span(), scale=UnitGain())
    assert AdamW(weights(), betas=BANK, bank="full", selector=Span()).report()["rule"].count("UnitPower()") == 1


# --- memory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 1])
def test_candidates_that_are_not_chosen_keep_listening(delay: int) -> None:
    """Every buffer of a full bank is the average of all gradients, whoever was chosen on the way."""
    ws = weights()
    opt = AdamW(ws, **FULL, delay=delay)
    gradients = stream(ws, 20)
    assert len(set(choices(opt, gradients))) > 1
    for i, p in enumerate(ws):
        for k, beta in enumerate(MOMENTA):
            m = sum((1 - beta) * beta**j * now[i].double() for j, now in enumerate(reversed(gradients)))
            kept = opt.state[p][f"filter.m{k}"].reshape(m.shape)  # type: ignore[union-attr]
            torch.testing.assert_close(kept.double(), m, rtol=1e-4, atol=1e-6)


def test_a_probes_candidates_keep_listening() -> None:
    """On its sample of coordinates."""
    ws = weights([(30, 40)])
    opt = AdamW(ws, lr=0.01, betas=BANK)
    gradients = stream(ws, 20)
    assert len(set(choices(opt, gradients))) > 1
    for k, beta in enumerate(MOMENTA):
        m = sum((1 - beta) * beta**j * sample(now[0].double()) for j, now in enumerate(reversed(gradients)))
        torch.testing.assert_close(opt.state[ws[0]][f"filter.m{k}"].double(), m, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["full", "sgd-auto", "each"])
def test_a_switch_resets_nothing(name: str) -> None:
    """Replaying the same path with closed eyes gives the same run."""
    opt = OPTIMIZERS[name](readable(weights([(4, 3)])))
    gradients = stream(owned(opt), 20)
    seen = tuple(choices(opt, gradients))
    group = opt.param_groups[0]
    kind = {"momentum": "auto"} if "momentum" in group else {"betas": BANK}
    replay = type(opt)(readable(weights([(4, 3)])), lr=group["lr"], **kind, bank=opt.choice.bank, selector=Replay(seen))  # type: ignore[attr-defined]
    walk(replay, gradients)
    assert len(set(seen)) > 1 and differences(snapshot(opt)["params"], snapshot(replay)["params"]) == []


# --- who decides together -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["full", "adamw-auto", "sgd-auto", "span"])
def test_groups_with_one_rule_share_one_decision(name: str) -> None:
    """Two groups walk as one, to the last bit, and hold the very same tensor."""
    one = OPTIMIZERS[name](weights())
    ws = weights()
    two = OPTIMIZERS[name]([{"params": ws[:2]}, {"params": ws[2:]}])
    for opt in (one, two):
        walk(opt, stream(owned(opt), 13))
    assert len({id(two.state[p]["filter.weights"]) for p in ws}) == 1
    torch.testing.assert_close([p.detach() for p in owned(two)], [p.detach() for p in owned(one)], rtol=1e-6, atol=1e-7)
    shown = [{key: g[key] for key in ("chosen", "effective_lr")} for g in two.param_groups]
    assert shown[0] == shown[1]


def test_learning_rate_and_decay_may_differ_within_a_decision() -> None:
    """They are no part of the question which momentum pays."""
    ws = weights()
    opt = AdamW([{"params": ws[:2], "lr": 0.1}, {"params": ws[2:], "weight_decay": 0.0}], betas=BANK)
    walk(opt, stream(ws, 3))
    assert len({id(opt.state[p]["filter.weights"]) for p in ws}) == 1
    assert opt.param_groups[0]["effective_lr"] == 100 * opt.param_groups[1]["effective_lr"]


@pytest.mark.parametrize("bank", ["probe", "full"])
def test_each_parameter_decides_for_itself(bank: str) -> None:
    """As if it were alone in the optimizer."""
    selector = Greedy(scope="parameter")
    build = partial(AdamW, lr=0.01, betas=BANK, bank=bank, selector=selector)
    together, gradients = build(weights()), stream(weights(), 13)
    alone = [build([p]) for p in weights()]
    told = choices(together, gradients, each=True)
    assert list(zip(*told, strict=True)) == [
        tuple(choices(opt, [[now[i]] for now in gradients])) for i, opt in enumerate(alone)
    ]
    assert differences(snapshot(together)["params"], [snapshot(opt)["params"][0] for opt in alone]) == []
    assert any(len(set(now)) > 1 for now in told)


def test_a_global_choice_is_of_all_parameters() -> None:
    """A large tensor outweighs a small one that wants something else."""
    big, small = weights([(40, 40), (2,)])
    opt = SGD([big, small], momentum=(0.5, 0.99), bank="full")
    steady, wild = stream([big, small], 1)[0]
    walk(opt, [[steady, wild * (-1.0) ** n] for n in range(20)])
    assert opt.param_groups[0]["momentum"] == 0.99


@pytest.mark.parametrize("chunk_bytes", [1, 64, None])
def test_a_decision_does_not_depend_on_chunks(chunk_bytes: int | None) -> None:
    opt, other = AdamW(weights(), **FULL, chunk_bytes=chunk_bytes), AdamW(weights(), **FULL, foreach=False)
    assert choices(opt, stream(weights(), 13)) == choices(other, stream(weights(), 13))


def test_a_global_choice_is_one_whatever_the_metrics_numbers() -> None:
    """Groups with another eps, decay of squares or weight decay decide together."""
    ws = weights()
    opt = AdamW([{"params": ws[:2], "eps": 1e-7}, {"params": ws[2:], "betas": (MOMENTA, 0.9)}], betas=BANK)
    walk(opt, stream(ws, 9))
    assert len({id(opt.state[p]["filter.weights"]) for p in ws}) == 1


# --- a recorded path ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bank", ["probe", "full"])
def test_replay_follows_its_path(bank: str) -> None:
    """The last choice stays for ever."""
    opt = AdamW(weights(), lr=0.01, betas=BANK, bank=bank, selector=Replay((2, 0, 1, 1)))
    assert choices(opt, stream(owned(opt), 6)) == [2, 0, 1, 1, 1, 1]


# --- one step late ------------------------------------------------------------------------------------------------


def test_late_decisions_are_those_of_the_step_before() -> None:
    """The choices are the same ones; a late run moves as one that replays them shifted by one."""
    gradients = stream(weights(), 20)
    now, late = AdamW(weights(), **FULL), AdamW(weights(), **FULL, delay=1)
    seen = choices(now, gradients)
    assert choices(late, gradients) == seen and len(set(seen)) > 1
    shifted = AdamW(weights(), **FULL | {"selector": Replay((0, *seen[:-1]))})
    walk(shifted, gradients)
    assert differences(snapshot(late)["params"], snapshot(shifted)["params"]) == []
    assert differences(snapshot(late)["params"], snapshot(now)["params"]) != []


@pytest.mark.parametrize("name", ["late", "late-full"])
def test_a_late_group_shows_what_the_last_step_used(name: str) -> None:
    """Not what the next one will."""
    late = OPTIMIZERS[name](weights())
    before, shown = [0], []
    for now in stream(owned(late), 20):
        before += choices(late, [now])
        group = late.param_groups[0]
        shown.append(group["betas"][0] if "betas" in group else group["momentum"])
    assert shown == [late.param_groups[0]["candidates"][k] for k in before[:-1]]


# --- what is shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHOOSING)
def test_chosen_values_are_plain_floats(name: str) -> None:
    """After every step, where dashboards read them."""
    opt = OPTIMIZERS[name](weights())
    for now in stream(owned(opt), 6):
        walk(opt, [now])
        group = opt.param_groups[0]
        momentum = group["betas"][0] if "betas" in group else group["momentum"]
        assert type(momentum) is float and type(group["effective_lr"]) is float
        assert type(group.get("betas", ())) is tuple
        assert 0 <= momentum < 1


@pytest.mark.parametrize("name", ["full", "adamw-auto", "sgd-auto", "gap-sgd", "lion-auto"])
def test_the_shown_momentum_is_the_chosen_one(name: str) -> None:
    opt = OPTIMIZERS[name](weights())
    for now in stream(owned(opt), 13):
        (k,) = choices(opt, [now])
        group = opt.param_groups[0]
        shown = group["betas"][0] if "betas" in group else group["momentum"]
        assert shown == group["candidates"][k] == opt.report()["groups"][0]["momentum"]


def test_the_shown_momentum_of_many_choices_is_their_median() -> None:
    opt = OPTIMIZERS["each"](weights([(5, 4), (4,), (2, 3, 2)]))
    for now in stream(owned(opt), 13):
        (ks,) = choices(opt, [now], each=True)
        assert opt.param_groups[0]["betas"][0] == MOMENTA[sorted(ks)[1]]


def test_the_effective_learning_rate() -> None:
    """lr for averages; lr (1 - beta^n) / (1 - beta) for raw heavy balls, and of 0.9 for all of SGD's candidates."""
    adamw, raw, sgd = (OPTIMIZERS[name](weights()) for name in ("full", "gap-sgd", "sgd-auto"))
    for n, now in enumerate(stream(owned(adamw), 8), start=1):
        for opt in (adamw, raw, sgd):
            walk(opt, [now])
        beta = raw.param_groups[0]["momentum"]
        assert adamw.param_groups[0]["effective_lr"] == pytest.approx(0.01)
        assert raw.param_groups[0]["effective_lr"] == pytest.approx(0.02 * (1 - beta**n) / (1 - beta))
        assert sgd.param_groups[0]["effective_lr"] == pytest.approx(0.05 * (1 - 0.9**n) / (1 - 0.9))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps", [0, 7])
def test_the_report_is_plain_data(name: str, steps: int) -> None:
    """Strict JSON, there and back, before the first step too."""
    told = trained(name, steps).report()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["step"], told["skipped"], len(told["groups"])) == (steps, 0, 1)


def test_the_report_of_a_choice_that_is_held_shows_who_leads() -> None:
    """With hysteresis the choice may pay less than its challenger; the margin is then negative."""
    opt = AdamW(weights(), **FULL | {"selector": Greedy(hysteresis=50)})
    drift = stream(owned(opt), 1)[0]
    walk(opt, [drift] * 12)
    (told,) = opt.report()["groups"]
    assert (told["momentum"], told["runner_up"], told["samples"]) == (0.5, 0.99, 12)
    assert told["margin"] == pytest.approx((told["pay"][0] - told["pay"][2]) / told["pay"][2]) and told["margin"] < 0
    assert told["lead"] > 5


@pytest.mark.parametrize("name", ["full", "sgd-auto"])
def test_the_report_says_why(name: str) -> None:
    """Each candidate's pay, the runner-up, the margin, how often each was chosen and how often it switched."""
    opt = OPTIMIZERS[name](weights())
    seen = choices(opt, stream(owned(opt), 13))
    (told,) = opt.report()["groups"]
    ranked = sorted(zip(told["pay"], told["candidates"], strict=True), reverse=True)
    assert (told["momentum"], told["runner_up"]) == (ranked[0][1], ranked[1][1])
    assert told["margin"] == pytest.approx((ranked[0][0] - ranked[1][0]) / abs(ranked[0][0]))
    assert told["chosen"] == [seen.count(k) for k in range(3)]
    assert told["switches"] == sum(a != b for a, b in itertools.pairwise([0, *seen]))


def test_the_report_of_many_choices_has_a_line_for_each() -> None:
    """By name where the parameters have names."""
    opt = AdamW(zip("abcd", weights(), strict=True), betas=BANK, selector=Greedy(scope="parameter"))
    (ks,) = choices(opt, stream(owned(opt), 6), each=True)[-1:]
    told = opt.report()["groups"][0]["parameters"]
    assert {name: one["momentum"] for name, one in told.items()} == {
        name: MOMENTA[k] for name, k in zip("abcd", ks, strict=True)
    }


def test_each_parameters_effective_learning_rate() -> None:
    """With unit power it follows each one's own momentum: lr (1 - b^n) / (1 - b) sqrt((1 - b^2) / (1 - b^2n))."""
    each = Greedy(scope="parameter")
    opt = AdamW(weights(), lr=0.01, betas=BANK, bank="full", selector=each, scale=UnitPower())
    (ks,), n = choices(opt, stream(owned(opt), 6), each=True)[-1:], 6
    betas = [MOMENTA[k] for k in ks]
    expected = [0.01 * (1 - b**n) / (1 - b) * ((1 - b**2) / (1 - b ** (2 * n))) ** 0.5 for b in betas]
    told = opt.report()["groups"][0]["parameters"]
    assert [one["effective_lr"] for one in told.values()] == pytest.approx(expected)
    assert len(set(betas)) > 1


@pytest.mark.parametrize("name", ["sgd", "adamw", "sgd-auto", "full", "each", "late", "span"])
def test_the_report_does_not_need_gradients(name: str) -> None:
    """Loops report after zero_grad."""
    opt = trained(name)
    told = opt.report()
    opt.zero_grad()
    assert opt.report() == told


def test_the_report_changes_nothing() -> None:
    opt, other = OPTIMIZERS["full"](weights()), OPTIMIZERS["full"](weights())
    for now in stream(owned(opt), 8):
        walk(opt, [now])
        walk(other, [now])
        opt.report()
        opt.zero_grad()
        opt.report()
        str(opt)
    assert differences(snapshot(opt), snapshot(other)) == []


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adamw", "lion"])
def test_a_fixed_momentum_is_reported_too(name: str) -> None:
    """As it stands in the group; and the learning rate that a steady gradient would feel."""
    opt = trained(name)
    (told,) = opt.report()["groups"]
    gain = {"sgd": (1 - 0.9**7) / 0.1, "nesterov": (1 - 0.9**8) / 0.1}.get(name, 1.0)
    assert told["momentum"] == 0.9
    assert told["effective_lr"] == pytest.approx(told["lr"] * gain)


@pytest.mark.parametrize("name", ["adamw", "adamw-auto", "full", "each", "late"])
def test_state_bytes_are_exact(name: str) -> None:
    """Every tensor once, also those that many parameters hold together."""
    opt = trained(name)
    tensors = {x.data_ptr(): x for entry in opt.state.values() for x in entry.values() if x.numel()}
    assert opt.state_bytes() == sum(x.numel() * x.element_size() for x in tensors.values())


@pytest.mark.parametrize("name", FEW)
def test_printing_shows_the_sentence_and_every_option(name: str) -> None:
    opt = trained(name)
    text = str(opt)
    assert str(opt.sentence(opt.param_groups[0])) in text and text.startswith(f"{type(opt).__name__} (")
    assert all(f"{key}: " in text for key in opt.param_groups[0] if key != "params")
    assert "tensor" not in text


def test_printing_tells_groups_with_other_rules_apart() -> None:
    ws = weights()
    opt = AdamW([{"params": ws[:2]}, {"params": ws[2:], "betas": BANK}], selector=QUICK)
    words = [line for line in str(opt).splitlines() if line.startswith("groups")]
    assert words == [
        "groups [0]: EMA(0.9) → SecondMoment(0.999) → Constant() → Decoupled(0.01)",
        "groups [1]: Probe((0.5, 0.9, 0.99), Greedy('global')) → SecondMoment(0.999) → Constant() → Decoupled(0.01)",
    ]
