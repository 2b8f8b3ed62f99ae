"""Programs: what is traced from a rule, what it shares and what it may not take for granted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.optim import lr_scheduler

from fallline import (
    EMA,
    AdamW,
    Bank,
    Cone,
    Constant,
    Coupled,
    Decoupled,
    Descent,
    Euclid,
    Greedy,
    HeavyBall,
    Identity,
    Kahan,
    Nesterov,
    Probe,
    QuasiHyperbolic,
    RawMoment,
    Rule,
    SecondMoment,
    Sign,
    Span,
    UnitPower,
)
from fallline.core.chunk import Readable
from fallline.core.field import Bundle, Field, count, each, inner
from fallline.core.kernel import compiler, native
from fallline.core.kernel.table import Items, pieces, samples, stripes
from fallline.core.memory import Memory
from fallline.core.part import Filter, Map, Preconditioner
from fallline.statistics.sample import runs, sample
from kit import OPTIMIZERS, QUICK, differences, owned, snapshot, stream, walk, weights
from laws.kernel import LAWS, Case
from routes import Build, agree, assert_near, kinds, pair

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="there is no C compiler")
CPU = torch.device("cpu")


# --- laws ---------------------------------------------------------------------------------------------------------

FILTERS: dict[str, Callable[[Random], Any]] = {
    "ema": lambda r: EMA(r.random()),
    "heavy-ball": lambda r: HeavyBall(r.random(), r.random()),
    "nesterov": lambda r: Nesterov(r.random()),
    "quasi-hyperbolic": lambda r: QuasiHyperbolic(r.random(), 2 * r.random()),
    "identity": lambda r: Identity(),
    "bank-2": lambda r: Bank(drawn(r, 2), QUICK),
    "bank-3": lambda r: Bank(drawn(r, 3), Greedy(scope="parameter")),
    "bank-5": lambda r: Bank([QuasiHyperbolic(beta, r.random()) for beta in drawn(r, 5)], QUICK),
    "probe": lambda r: Probe(drawn(r, 3), QUICK),
    "probe-ahead": lambda r: Probe([QuasiHyperbolic(beta, beta) for beta in drawn(r, 2)], QUICK),
    "span": lambda r: Bank(drawn(r, 3), Span(smoothing=0.5), UnitPower()),
    "cone": lambda r: Bank(drawn(r, 3), Cone(), UnitPower()),
}
METRICS = {"euclid": Euclid(), "second-moment": SecondMoment(0.97), "raw-moment": RawMoment(0.97), "sign": Sign()}
KINDS: dict[str, tuple[torch.dtype, dict[str, Any]]] = {
    "float64": (torch.float64, {}),
    "float32": (torch.float32, {}),
    "bfloat16": (torch.bfloat16, {"write": Kahan()}),
    "float32-in-float64": (torch.float32, {"write": Kahan(), "state_dtype": torch.float64}),
    "bfloat16-in-float64": (torch.bfloat16, {"state_dtype": torch.float64}),
}


READINGS = {0: ("look", "whole"), 2: ("first", "second", "whole"), 3: ("scout", "walk")}


def drawn(r: Random, n: int) -> tuple[float, ...]:
    return tuple(sorted(r.sample([0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.997], n)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", FILTERS)
def test_every_reading_of_a_rule_obeys_the_laws(name: str, metric: str) -> None:
    """Of rules with numbers, decay and sign drawn at random, in float64 and in another dtype."""
    r = Random(f"{name} {metric}")
    for kind in ("float64", r.choice(list(KINDS)[1:])):
        dtype, options = KINDS[kind]
        combine = r.choice([Coupled, Decoupled])(r.choice([0.0, r.random()]))
        rule = Rule(FILTERS[name](r), METRICS[metric], Constant(), combine, **options)
        for reading in READINGS[rule.scouts + 2 * bool(rule.choosers)]:
            for law in LAWS:
                law(Case(rule, reading, dtype, r.random() < 0.5))


def test_tables_hold_every_coordinate_once() -> None:
    """In pieces, in stripes, and the sample alone; ranges of them follow each other without a gap."""
    sizes = (1, 7, 4099, 70_001, 300_003)
    seen, shown = [runs(n) for n in sizes], [sample(torch.empty(n)).numel() for n in sizes]
    cases = [(pieces(sizes, 1000), sizes), (stripes(sizes, 1 << 15), sizes), (samples(seen), shown)]
    cases.append((samples(seen, 64), shown))
    for given, wanted in cases:
        items = Items(given, CPU)
        found: list[list[int]] = [[] for _ in sizes]
        for row, start, _, run, stride, n in given:
            found[row] += [start + k * stride + j for k in range(n) for j in range(run)]
        assert [len(set(at)) for at in found] == [len(at) for at in found] == list(wanted)
        assert items.counts(len(sizes)).tolist() == list(wanted)
        for n in (1, 2, 3, 7):
            cuts = items.shares(n)
            assert cuts[0][0] == 0 and cuts[-1][1] == len(given) and len(cuts) <= n
            assert all(a[1] == b[0] for a, b in pairwise(cuts))


# --- numbers ------------------------------------------------------------------------------------------------------


def test_a_number_that_is_1_in_the_first_step_only_is_a_number_of_its_own() -> None:
    """HeavyBall does not dampen the first gradient; a formula at the age of 1 must not be taken for the formula."""
    for metric in (Euclid(), Sign()):
        for mu, dampening in ((0.9, 0.1), (0.5, 0.5), (0.9, 1.0)):
            rule = Rule(HeavyBall(mu, dampening), metric, Constant(), Decoupled(1 - mu))
            for steps in (1, 2, 6):
                agree(lambda params, rule=rule: Descent(params, rule, lr=0.1), steps)


@pytest.mark.parametrize("x", [0.1, 0.5, 1.0])
def test_numbers_that_are_equal_by_chance_do_no_harm(x: float) -> None:
    """eps, decay, 1 - beta and the learning rate, which then goes its own way."""
    for combine in (Decoupled(x), Coupled(x)):
        rule = Rule(EMA(1 - x), SecondMoment(1 - x, eps=x), Constant(), combine)
        opt, other = pair(lambda params, rule=rule: Descent(params, rule, lr=x))
        for n, now in enumerate(stream(owned(opt), 6)):
            for one in (opt, other):
                one.param_groups[0]["lr"] = x / (1 + n)
                walk(one, [now])
        assert_near(opt, other, torch.float32)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_is_compiled_anew_where_only_numbers_change(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning rate, momentum as OneCycleLR cycles it, and the choice."""
    opt = OPTIMIZERS[name](weights())
    (group,) = opt.param_groups
    plan = lr_scheduler.OneCycleLR(opt, max_lr=0.05, total_steps=25, cycle_momentum=not group["candidates"])
    seen, made = set(), None
    for now in stream(owned(opt), 20):
        walk(opt, [now])
        if made is None:
            made = native.load.cache_info().currsize
            monkeypatch.setattr(compiler, "_build", lambda *_: pytest.fail("it is compiled anew"))
        plan.step()
        seen.add(group["momentum"] if "momentum" in group else group["betas"])
    assert native.load.cache_info().currsize == made
    assert len(seen) > 1 or name == "lion-auto"  # which never chooses anything else here


# --- parts that no kernel can be made of --------------------------------------------------------------------------


class Unfit(NamedTuple):
    """A group for which there is no kernel, and a word of the reason."""

    build: Build
    says: str
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Whole(Preconditioner):
    """Euclid's metric, told with what no coordinate can say alone."""

    elementwise: ClassVar[bool] = False

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        return u

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        return inner(a, b)

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        return count(g)


@dataclass(frozen=True)
class Foreign(Whole):
    """Says what only tensors understand."""

    elementwise: ClassVar[bool] = True

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        return each(lambda x: x.clamp(-1, 1), u)


def made_of(metric: Any, filter: Any = None, **slots: Any) -> Build:
    """A descent by a rule with these parts."""
    rule = Rule(filter or EMA(0.9), metric, Constant(), Decoupled(slots.pop("decay", 0.01)), **slots)
    return lambda params, **given: Descent(params, rule, lr=0.01, **given)


UNFIT = {
    "half": Unfit(AdamW, "weights of torch.float16", torch.float16),
    "whole": Unfit(made_of(Whole()), "needs whole matrices"),
    "foreign": Unfit(made_of(Foreign()), "says what kernels do not understand .*clamp"),
    "dice": Unfit(partial(AdamW, write="stochastic"), r"Stochastic\(0\) is not made of", torch.bfloat16),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_kernel_that_does_not_exist_is_refused_with_the_reason(name: str) -> None:
    """And nothing has moved. Where it was not demanded, the readable rule walks."""
    build, says, dtype = UNFIT[name]
    opt = build(weights(dtype=dtype), fused=True)
    before = snapshot(opt)["params"]
    with pytest.raises(RuntimeError, match=f"There is no fused kernel for .*{says}.*Pass fused=None to go without"):
        walk(opt, stream(owned(opt), 1))
    assert differences(snapshot(opt)["params"], before) == []
    opt = build(weights(dtype=dtype))
    walk(opt, stream(owned(opt), 2))
    assert kinds(opt) == {Readable}


def test_a_kernel_for_gradients_that_are_not_plain_is_refused_too() -> None:
    opt = AdamW(weights([(5, 4)]), fused=True)
    owned(opt)[0].grad = torch.ones(4, 5).t()
    with pytest.raises(RuntimeError, match="gradients that are not contiguous"):
        opt.step()


# --- parts that see through it ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Uncorrected(Whole):
    """Adam's metric as RMSprop has it: the average of squares is taken as it is."""

    elementwise: ClassVar[bool] = True

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        return {"v": torch.zeros_like(p)}

    def fresh(self, t: Tensor) -> Any:
        return 0.01

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        mem.v.lerp_(g.square(), self.fresh(t))

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        return u / mem.v.div(1.0).sqrt().add(1e-8)


class Slowing(Uncorrected):
    """Adafactor's: a memory that grows."""

    def fresh(self, t: Tensor) -> Any:
        return t**-0.8


class Onlooker(Uncorrected):
    """It remembers squares for somebody else."""

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        return u


@dataclass(frozen=True)
class Forgetful(Filter):
    """Says what a heavy ball says, and remembers the last gradient only."""

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        return {"b": torch.zeros_like(p)}

    def remember(self, g: Field, mem: Memory, t: Tensor) -> None:
        pass

    def output(self, g: Field, mem: Memory, t: Tensor) -> Field:
        u = mem.b.mul(0.9) + g
        mem.b.copy_(g)
        return u

    def taps(self, n: int) -> Tensor:
        return torch.eye(1, n, dtype=torch.float64)[0]

    def gain(self, mem: Memory, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def momentum(self, mem: Memory) -> float:
        return 0.0


NEIGHBOURS = {
    "uncorrected": made_of(Uncorrected()),
    "slowing": made_of(Slowing()),
    "onlooker": made_of(Onlooker(), Identity(), decay=0.0),
    "onlooker-momentum": made_of(Onlooker(), HeavyBall(0.9), decay=0.0),
    "forgetful": made_of(Euclid(), Forgetful(), decay=0.0),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_what_only_looks_like_torchs_kernel_is_not_taken_for_it(name: str) -> None:
    """The same formula for the parameters, but other numbers in it, or another memory."""
    agree(NEIGHBOURS[name])


@dataclass(frozen=True)
class WarmUp(Map):
    """Does another thing after some steps."""

    steps: int

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        return u.mul(0.1) if t <= self.steps else u


class Cooling(WarmUp):
    """The same, with one number before and after."""

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        return u.mul(0.1) if t <= self.steps else u + u.mul(0.3)


@dataclass(frozen=True)
class Unit(Map):
    """Normalises: a number that depends on a sum of the same step."""

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        return u.div(inner(u, u).sum().sqrt())


class Clip(Unit):
    """Decides by one."""

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        length = inner(u, u).sum().sqrt()
        return u.div(length) if length > 1 else u


class Fussy(Unit):
    """Wants tensors, and says so."""

    error: ClassVar[type[Exception]] = ValueError

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        if not isinstance(u, (Tensor, Bundle)):
            raise self.error("This map is for tensors.")
        return u


class Wary(Fussy):
    """An assertion."""

    error: ClassVar[type[Exception]] = AssertionError


MAPS = [WarmUp(2), WarmUp(4), WarmUp(8), Cooling(8), Unit(), Clip(), Fussy(), Wary()]


@pytest.mark.parametrize("part", MAPS, ids=lambda part: f"{type(part).__name__}{getattr(part, 'steps', '')}")
@pytest.mark.parametrize("slot", ["before", "after"])
def test_parts_that_branch_sum_or_complain_mean_what_they_say(slot: str, part: Map) -> None:
    """A kernel is one formula for all steps; what is more than that walks readable, or is told so in every step."""
    agree(made_of(Euclid(), **{slot: part}), 14)
