"""Every step through the laws of steps."""

from __future__ import annotations

import pytest

from fallline import (
    SVD,
    AdaGradNorm,
    AdGDStep,
    AnchoredStep,
    ColumnRatio,
    Constant,
    DAdaptAverage,
    DAdaptSum,
    Decoupled,
    DoGStep,
    DoWGStep,
    DualNorm,
    ElementEnergy,
    Energy,
    EscapeVelocity,
    Euclid,
    Frobenius,
    Hypergradient,
    HypergradientRatio,
    Identity,
    InducedLogStep,
    InducedStep,
    LargestDual,
    LearnedModel,
    MovingPolyak,
    NormPower,
    NormRatio,
    NormSum,
    OwnDual,
    Polyak,
    ProdigyStep,
    QuadraticModel,
    RandomScale,
    RawMoment,
    Rule,
    Sign,
    SmoothPolyak,
    Spectral,
    SquareSum,
    Sufficient,
    TruncatedModel,
    Wait,
    Warmup,
    steps,
)
from laws.step import LAWS, a_louder_loss_changes_nothing, a_louder_loss_makes_longer_steps

EXACT = Spectral(SVD())
RULES = (
    (Euclid(), Constant()),
    (Euclid(), Wait(3)),
    (Euclid(), Warmup(5)),
    (EXACT, AdaGradNorm()),
    (EXACT, NormRatio(0.0)),
    (EXACT, ColumnRatio(0.0)),
    (Sign(), DualNorm()),
    (EXACT, LargestDual()),
    (Sign(), EscapeVelocity(0.01)),
    (EXACT, EscapeVelocity(0.01)),
    (Sign(), AnchoredStep()),
    (Euclid(), DoGStep(0.01, eps=0.0)),
    (Euclid(), DoGStep(0.01, scope="parameter")),
    (Euclid(), DoGStep(first=0.01)),
    (OwnDual(EXACT), DoGStep(0.01, eps=0.0)),
    (RawMoment(0.9), DoGStep(0.01)),
    (Euclid(), DoWGStep(0.01)),
    (OwnDual(Frobenius()), DoWGStep(0.01)),
    (Euclid(), DoWGStep(0.01, scope="parameter")),
    (Euclid(), DAdaptSum(0.01)),
    (OwnDual(EXACT), DAdaptSum(0.01)),
    (RawMoment(0.9), DAdaptAverage(0.01, judge=Sign())),
    (RawMoment(0.9), ProdigyStep(0.01, judge=Sign())),
    (Sign(), ProdigyStep(0.01, betas=(0.9, 0.99), safeguard=True)),
    (EXACT, ProdigyStep(0.01, growth=1.5)),
    (Euclid(), AdGDStep()),
    (Euclid(), RandomScale()),
    (Euclid(), Sufficient()),
    (Euclid(), Polyak(0.5)),
    (EXACT, Polyak(0.5, eps=1e-8)),
    (RawMoment(0.9), SmoothPolyak(0.5)),
    (Sign(), MovingPolyak()),
    (OwnDual(EXACT), TruncatedModel(Identity())),
    (RawMoment(0.9), LearnedModel(Identity(), lb=-1.0)),
    (SquareSum(), QuadraticModel()),
    (EXACT, QuadraticModel()),
    (Euclid(), NormSum()),
    (EXACT, NormSum(scope="parameter")),
    (Euclid(), NormPower(0.5)),
    (Sign(), NormPower(1.0)),
    (OwnDual(EXACT), NormPower(0.3, scope="parameter")),
    (Euclid(), InducedStep()),
    (EXACT, InducedStep()),
    (RawMoment(0.9), InducedLogStep()),
    (Euclid(), ElementEnergy()),
    (Euclid(), Energy()),
    (EXACT, Energy()),
    (Euclid(), Hypergradient(1e-16)),
    (EXACT, HypergradientRatio(0.01)),
)
# Where nothing has an absolute size: no eps, no floor, no first step in units of the gradient.
UNMOVED = [(m, s) for m, s in RULES if getattr(s, "eps", 0.0) == 0.0 and not isinstance(m, RawMoment)]
UNMOVED = [(m, s) for m, s in UNMOVED if isinstance(s, (DoGStep, DoWGStep, DAdaptSum, EscapeVelocity, ProdigyStep))]
UNMOVED += [(Euclid(), NormSum(1e-30)), (EXACT, NormSum(1e-30, "parameter")), (Sign(), Polyak()), (EXACT, Polyak())]
LINEAR = [(m, s) for m, s in RULES if isinstance(s, (Constant, Wait, Warmup, DualNorm, LargestDual))]


def rule(metric, step) -> Rule:
    return Rule(Identity(), metric, step, Decoupled(0.0))


def each(pairs):
    return pytest.mark.parametrize(("metric", "step"), pairs, ids=[f"{m} {s}" for m, s in pairs])


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@each(RULES)
def test_law(law, metric, step):
    law(rule(metric, step))


@each(UNMOVED)
def test_scales_that_cancel(metric, step):
    a_louder_loss_changes_nothing(rule(metric, step))


@each(LINEAR)
def test_scales_that_pass_through(metric, step):
    a_louder_loss_makes_longer_steps(rule(metric, step))


def test_no_step_escapes_the_laws():
    examined = {type(step).__name__ for _, step in RULES}
    assert not set(steps.__all__) - examined, "add it to RULES, with a metric that it goes with"
