"""Steps that find their size on all routes: printed kernels, bundles and single tensors walk alike."""

from __future__ import annotations

import pytest
import torch

from fallline import (
    EMA,
    Decoupled,
    Descent,
    EscapeVelocity,
    Identity,
    PrimalAverage,
    Probe,
    ProdigyStep,
    Rule,
    SecondMoment,
    Sign,
)
from fallline.selectors import Greedy

PRODIGY = ProdigyStep(1e-3, judge=Sign())
RULES = {
    "prodigy": Rule(EMA(0.9), SecondMoment(0.999), PRODIGY, Decoupled(0.01)),
    "escape": Rule(Identity(), Sign(), EscapeVelocity(1e-3), Decoupled()),
    "averaged": Rule(Identity(), SecondMoment(0.999), PRODIGY, PrimalAverage(0.9, 0.01)),
}
CHOOSING = Rule(Probe((0.5, 0.9), Greedy()), SecondMoment(0.999), PRODIGY, PrimalAverage(0.9))


class Mixed(Descent):
    """Signs for one group, second moments for another, and one distance."""

    def sentence(self, group: dict[str, object]) -> Rule:
        if group["judged"]:
            return Rule(Identity(), SecondMoment(0.999), PRODIGY, Decoupled())
        return Rule(Identity(), Sign(), ProdigyStep(1e-3), Decoupled())


def walked(rule: Rule, steps: int = 25, **how: object) -> tuple[torch.Tensor, Descent]:
    """Some steps down a bowl."""
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(50, 70).double()), torch.nn.Parameter(torch.randn(400).double())]
    opt = Descent(params, rule, lr=1.0, **how)  # type: ignore[arg-type]
    for _ in range(steps):
        opt.zero_grad()
        sum(((p - 1).square().sum() for p in params), start=torch.zeros(())).backward()
        opt.step()
    return torch.cat([p.detach().flatten() for p in params]), opt


@pytest.mark.parametrize("name", RULES)
def test_a_kernel_walks_as_the_readable_rule_does(name: str) -> None:
    quick, opt = walked(RULES[name])
    for how in ({"foreach": True}, {"foreach": False}, {"chunk_bytes": 4096}):
        slow, other = walked(RULES[name], **how)
        torch.testing.assert_close(quick, slow, rtol=1e-6, atol=1e-8)
        found, told = (one.report()["groups"][0]["effective_lr"] for one in (opt, other))
        assert found == pytest.approx(told, rel=1e-4)
    assert opt.report()["groups"][0]["route"] in ("native", "readable")  # the latter where there is no C compiler


def test_a_momentum_and_a_step_may_choose_at_once() -> None:
    _, opt = walked(CHOOSING)
    told = opt.report()["groups"][0]
    assert told["route"] == "readable"  # a kernel would read the sample and everything in one pass
    assert told["momentum"] in (0.5, 0.9) and told["effective_lr"] == told["found"][0]["step.now"]


def test_steps_with_different_judges_share_one_distance() -> None:
    own, judged = ProdigyStep(1e-3), PRODIGY
    assert own != judged and own.peer == judged.peer
    params = [torch.nn.Parameter(torch.full((n,), 2.0)) for n in (20, 30)]
    opt = Mixed([{"params": [p], "judged": k} for k, p in enumerate(params)], lr=1.0)
    for _ in range(20):
        opt.zero_grad()
        sum((p.square().sum() for p in params), start=torch.zeros(())).backward()
        opt.step()
    assert opt.state[params[0]]["step.d"] is opt.state[params[1]]["step.d"]
    assert float(opt.state[params[0]]["step.d"]) > 0.1


@pytest.mark.parametrize("given", [{"start": 0.0}, {"beta": 1.0}, {"coefficient": 0.0}, {"growth": 1.0}])
def test_numbers_that_make_no_sense_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        ProdigyStep(**given)  # type: ignore[arg-type]
