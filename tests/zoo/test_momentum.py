"""A momentum that chooses itself, under any metric: in the metric's own geometry (Bank) or before it (Probe)."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import pytest
import torch
from torch import Tensor

from fallline import (
    Adam,
    Bank,
    Constant,
    Decoupled,
    Descent,
    Euclid,
    Greedy,
    Muon,
    OwnershipError,
    Probe,
    Rule,
    SecondMoment,
    Sign,
    SlotError,
    metrics,
)
from fallline.core.part import Ball, Metric
from fallline.integrations.record import numbers
from fallline.metrics import SVD, Keller, MatchRMS, Shaped, Spectral
from fallline.metrics.polar import Polar
from fallline.zoo.choice import AUTO_OF_NORM
from fallline.zoo.registry import REGISTRY
from kit import differences, owned, snapshot, stream, walk, weights

BETAS = (0.5, 0.9, 0.99)
SHAPES = ((6, 4), (3, 8), (5, 5))
EXACT = Spectral(SVD())


def some_metrics() -> dict[str, Metric]:
    """Every metric that can be built without being told anything, and the spectral one in its shapes."""
    kinds = [kind for kind in vars(metrics).values() if isinstance(kind, type) and issubclass(kind, Metric)]
    found: dict[str, Metric] = {"spectral": EXACT, "keller": Keller(EXACT), "rms": MatchRMS(EXACT)}
    for kind in kinds:
        needed = [p for p in inspect.signature(kind).parameters.values() if p.default is p.empty]
        if not inspect.isabstract(kind) and not needed:
            found[kind.__name__] = kind()
        elif not inspect.isabstract(kind) and issubclass(kind, Shaped) and len(needed) == 1:
            found[f"{kind.__name__} of spectral"] = kind(EXACT)
    return found


METRICS = some_metrics()


def rule(filter_: Any, metric: Metric) -> Rule:
    """An additive rule without decay, in float64."""
    return Rule(filter_, metric, Constant(), Decoupled(0.0), state_dtype=torch.float64)


def double(shapes: Any = SHAPES, seed: int = 0) -> list[torch.nn.Parameter]:
    """Weights in float64."""
    return weights(shapes, torch.float64, seed)


def chosen(opt: Descent, gradients: Any) -> list[int]:
    """The first parameter's choice after each step."""
    told = []
    for now in gradients:
        walk(opt, [now])
        told.append(int(opt.state[owned(opt)[0]]["filter.weights"].argmax()))
    return told


# --- any metric ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
def test_a_bank_chooses_in_the_metrics_own_geometry(name: str) -> None:
    """And whatever the loss is multiplied with, it chooses the same; alone and in bundles too."""
    told = []
    for scale, foreach in ((1.0, None), (2.0**20, None), (1.0, False)):
        opt = Descent(double(), rule(Bank(BETAS, Greedy()), METRICS[name]), lr=0.01, foreach=foreach)
        told.append(chosen(opt, [[g * scale for g in now] for now in stream(owned(opt), 9)]))
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("name", METRICS)
def test_a_probe_chooses_before_any_metric(name: str) -> None:
    """Judged by Euclid, the choice does not depend on the metric at all."""
    opt = Descent(double(), rule(Probe(BETAS, Greedy(), judge=Euclid()), METRICS[name]), lr=0.01)
    plain = Descent(double(), rule(Probe(BETAS, Greedy()), Euclid()), lr=0.01)
    gradients = stream(owned(opt), 12)
    told = chosen(opt, gradients)
    assert told == chosen(plain, gradients) and len(set(told)) > 1


@pytest.mark.parametrize("name", [name for name in REGISTRY if name.endswith("-auto")])
def test_named_ones_choose_the_same_whatever_the_unit_of_the_loss(name: str) -> None:
    """Scale free: nothing to tune."""
    told = []
    for scale in (1.0, 2.0**20):
        opt = REGISTRY[name].build(double())
        told.append(chosen(opt, [[g * scale for g in now] for now in stream(owned(opt), 9)]))
    assert told[0] == told[1]


# --- the metric's own geometry ------------------------------------------------------------------------------------


def oracle(gradients: Any, betas: tuple[float, ...], score: str = "same") -> list[int]:
    """argmax of the sum over layers of s <g, U V^T> for u = U S V^T, from the formulas."""
    told, choice = [], 0
    for n in range(len(gradients)):
        pays = []
        for beta in betas:
            pay = 0.0
            for i, g in enumerate(gradients[n]):
                m = sum((1 - beta) * beta**j * gradients[n - j][i] for j in range(n + 1))
                u = m - (1 - beta) * g if score == "held-out" else m
                if u.norm() > 0:
                    left, _, right = torch.linalg.svd(u, full_matrices=False)
                    pay += 0.2 * max(g.shape) ** 0.5 * float((g * (left @ right)).sum())
            pays.append(pay)
        best = max(range(len(betas)), key=lambda k: pays[k])
        choice = best if pays[best] - pays[choice] > 1e-6 * max(map(abs, pays)) else choice
        told.append(choice)
    return told


@pytest.mark.parametrize("score", ["same", "held-out"])
def test_the_own_geometrys_choice_is_the_written_one(score: str) -> None:
    part = Bank(BETAS, Greedy(score=score))
    opt = Descent(double(), rule(part, MatchRMS(EXACT)), lr=0.01)
    gradients = stream(owned(opt), 16)
    told = chosen(opt, gradients)
    assert told == oracle(gradients, BETAS, score)
    assert score == "same" or len(set(told)) > 1


@pytest.mark.parametrize("name", [name for name, part in METRICS.items() if isinstance(part, Ball)])
def test_in_a_balls_own_geometry_nothing_pays_better_than_no_memory(name: str) -> None:
    """direction(g) is what <g, d> is largest for, by definition: the same batch on both sides asks for momentum 0."""
    opt = Descent(double(), rule(Bank((0.0, 0.5, 0.9), Greedy()), METRICS[name]), lr=0.01)
    drift, *_ = stream(owned(opt), 1)
    assert set(chosen(opt, [drift] * 4 + stream(owned(opt), 9))) == {0}
    # Euclid's judge knows the filters' power: gradients that persist ask for a long memory.
    opt = Descent(double(), rule(Bank((0.0, 0.5, 0.9), Greedy(), judge=Euclid()), METRICS[name]), lr=0.01)
    assert chosen(opt, [drift] * 8)[-1] == 2


def test_views_choose_as_separate_weights_do() -> None:
    """q, k and v in one weight are three matrices of one sum."""
    fused, (q, k, v) = double([(12, 5)]), double([(4, 5)] * 3)
    for part, rows in zip((q, k, v), fused[0].data.chunk(3), strict=True):
        part.data.copy_(rows)
    kind: dict[str, Any] = dict(momentum=BETAS, bank="full", polar=SVD(), state_dtype=torch.float64, weight_decay=0.0)
    one = Muon([{"params": fused, "roles": "attention groups=3"}], **kind)
    three = Muon([{"params": [q, k, v], "roles": "hidden"}], **kind)
    gradients = stream(fused, 12)
    told = chosen(one, gradients)
    assert told == chosen(three, [list(g.chunk(3)) for (g,) in gradients])
    torch.testing.assert_close(fused[0].detach(), torch.cat([q, k, v]).detach())


# --- cost ---------------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True)
class Counting(Polar):
    """The exact factor, counted."""

    calls: list[int] = field(default_factory=list, hash=False, compare=False)
    elementwise: ClassVar[bool] = False

    def __call__(self, x: Tensor) -> Tensor:
        """U V^T, one more."""
        self.calls.append(1)
        return SVD()(x)


@pytest.mark.parametrize(("how", "factors"), [({}, 1), ({"bank": "full"}, 4), ({"bank": "full", "judge": Euclid()}, 1)])
def test_a_choice_before_the_metric_costs_no_second_polar_factor(how: dict[str, Any], factors: int) -> None:
    """In the own geometry one for each candidate."""
    polar = Counting()
    opt = Muon(weights([(6, 4)]), momentum=BETAS, polar=polar, roles="by shape", foreach=True, **how)
    walk(opt, stream(owned(opt), 1))
    polar.calls.clear()
    walk(opt, stream(owned(opt), 5))
    assert len(polar.calls) == 5 * factors


# --- what may judge, and who decides together -----------------------------------------------------------------------


def test_a_judge_is_a_norm_without_memory_and_a_sample_is_no_matrix() -> None:
    with pytest.raises(SlotError, match="learns from gradients and cannot judge"):
        Bank(BETAS, Greedy(), judge=SecondMoment())
    for metric, judge in ((EXACT, None), (EXACT, EXACT), (Euclid(), EXACT)):
        with pytest.raises(SlotError, match=r"Probe scores a sample.*judge=Euclid\(\)"):
            rule(Probe(BETAS, Greedy(), judge=judge), metric)
    assert rule(Probe(BETAS, Greedy(), judge=Sign()), EXACT).metric == EXACT


@pytest.mark.parametrize(("judge", "decisions"), [(None, 2), (Euclid(), 1)])
def test_pays_add_up_where_they_are_told_in_one_geometry(judge: Metric | None, decisions: int) -> None:
    """Two metrics judged by one norm decide together; each in its own geometry, apart."""

    class Two(Muon):
        def rest(self, group: Any) -> Rule:
            return replace(self.matrix(group), metric=Sign())

    ws = weights()
    opt = Two(ws, momentum=BETAS, bank="full", judge=judge, roles="by shape")
    walk(opt, stream(ws, 3))
    assert len({id(opt.state[p]["filter.weights"]) for p in ws}) == decisions


def test_auto_of_a_norm_offers_no_short_memory() -> None:
    """What noise is in a direction of fixed length must be averaged before (docs/momentum.md)."""
    opt = Muon(weights(), momentum="auto", rest_betas=("auto", 0.95), roles="by shape")
    group = opt.param_groups[0]
    assert group["candidates"] == AUTO_OF_NORM and group["rest_candidates"] == BETAS
    grouped = Muon([{"params": weights(), "momentum": "auto", "rest_betas": ((0.8, 0.9), 0.9)}], roles="by shape")
    group = grouped.param_groups[0]
    assert group["candidates"] == AUTO_OF_NORM and group["rest_candidates"] == (0.8, 0.9)


# --- the rest chooses too -----------------------------------------------------------------------------------------


def test_matrices_and_the_rest_choose_apart_and_both_are_shown() -> None:
    ws = weights([(30, 40), (4,)])
    opt = Muon(ws, momentum=(0.5, 0.99), rest_betas=((0.5, 0.99), 0.95), roles="by shape", bank="full", judge=Euclid())
    matrix, vector = stream(ws, 1)[0]
    walk(opt, [[matrix, vector * (-1.0) ** n] for n in range(30)])
    group, told = opt.param_groups[0], opt.report()["groups"][0]
    assert (group["momentum"], group["rest_betas"]) == (0.99, (0.5, 0.95))
    assert (group["chosen"], group["rest_chosen"]) == (0.99, 0.5)
    assert (told["momentum"], told["rest"]["momentum"]) == (0.99, 0.5)
    assert told["candidates"] == told["rest"]["candidates"] == [0.5, 0.99]
    assert told["effective_lr"] == group["effective_lr"] == group["lr"]
    written = dict(numbers(opt, opt.report()))
    assert (written["group0/momentum"], written["group0/rest/momentum"]) == (0.99, 0.5)
    group["rest_betas"] = (0.7, 0.95)
    with pytest.raises(OwnershipError, match=r"wrote 0\.7 as the momentum.*chosen from \(0\.5, 0\.99\), last 0\.5"):
        walk(opt, [[matrix, vector]])


def test_only_the_rest_may_choose() -> None:
    """It chooses as Adam alone does, and the momentum of the matrices is left alone."""
    (matrix, vector), alone = weights([(6, 4), (40,)]), weights([(6, 4), (40,)])[1]
    opt = Muon([matrix, vector], rest_betas=(BETAS, 0.95), weight_decay=0.0, roles="by shape")
    adam = Adam([alone], betas=(BETAS, 0.95))
    gradients = stream([matrix, vector], 15)
    for now in gradients:
        walk(opt, [now])
        walk(adam, [now[1:]])
        assert opt.param_groups[0]["rest_betas"] == adam.param_groups[0]["betas"]
    assert torch.equal(vector, alone)
    told = opt.report()["groups"][0]
    assert opt.param_groups[0]["momentum"] == 0.95 and "rest" not in told
    assert told["momentum"] == opt.param_groups[0]["rest_betas"][0] and told["pay"]
    assert "rest_candidates" not in Muon(weights(), roles="by shape").report()["groups"][0]


def test_both_choices_are_saved_and_go_on() -> None:
    def build() -> Muon:
        return Muon(weights(), momentum="auto", rest_betas=("auto", 0.95), roles="by shape")

    opt, other = build(), build()
    gradients = stream(owned(opt), 12)
    walk(opt, gradients[:6])
    for p, q in itertools.zip_longest(owned(opt), owned(other)):
        q.data.copy_(p.data)
    other.load_state_dict(opt.state_dict())
    for one in (opt, other):
        walk(one, gradients[6:])
    assert differences(snapshot(opt), snapshot(other)) == []
    assert {"rest_chosen", "chosen"} <= opt.param_groups[0].keys()
    assert opt.param_groups[0]["chosen"] in AUTO_OF_NORM
