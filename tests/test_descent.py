"""The engine: one formula however tensors are grouped, and nothing measured that nobody asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline import SGD, Adam, AdamW, Cone, Greedy, Lion, Span, UnitPower
from fallline.core.field import Bundle, as_field, each, inner, peaks, total
from fallline.core.rule import Rule
from fallline.zoo.registry import REGISTRY
from sampler import noisy_descent

SHAPES = ((40, 9), (3,), (), (2, 3, 4), (700,), (1, 5))
STREAM = noisy_descent(3, 30, SHAPES)
CHOOSERS = {
    "full": lambda p, **k: AdamW(p, 0.01, ("auto", 0.99), bank="full", **k),
    "parameter": lambda p, **k: AdamW(p, 0.01, ("auto", 0.99), selector=Greedy(scope="parameter"), **k),
    "full-parameter": lambda p, **k: SGD(p, 0.01, "auto", bank="full", selector=Greedy("parameter", "held-out"), **k),
    "cone": lambda p, **k: Adam(p, 0.01, ("auto", 0.99), bank="full", selector=Cone(smoothing=0.9), **k),
    "span": lambda p, **k: SGD(p, 0.01, "auto", bank="full", selector=Span(), scale=UnitPower(), **k),
    "nesterov": lambda p, **k: SGD(p, 0.01, "auto", nesterov=True, **k),
    "late": lambda p, **k: AdamW(p, 0.01, ("auto", 0.99), delay=1, **k),
    "lion": lambda p, **k: Lion(p, 0.01, ((0.3, 0.9), 0.99), bank="full", **k),
}
RECIPES = {name: entry.build for name, entry in REGISTRY.items()} | CHOOSERS


def driven(make, dtype=torch.float32, **kwargs):
    """Parameters after a fixed stream of gradients, and the optimizer."""
    params = [nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in SHAPES]
    opt = make(params, **kwargs)
    for grads in STREAM:
        for p, g in zip(params, grads, strict=True):
            p.grad = g.to(dtype)
        opt.step()
    return params, opt


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16))
@pytest.mark.parametrize("name", RECIPES)
def test_loop_bundle_and_chunks_are_equal_bit_for_bit(name, dtype):
    loop, _ = driven(RECIPES[name], dtype, foreach=False) if "gap" not in name else driven(RECIPES[name], dtype)
    assert all(p.isfinite().all() for p in loop)
    if "gap" not in name:  # the paper's recipes take no engine options
        assert same(loop, driven(RECIPES[name], dtype)[0])
        assert same(loop, driven(RECIPES[name], dtype, chunk_bytes=1600)[0])


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_repeats_itself(name):
    assert same(driven(RECIPES[name])[0], driven(RECIPES[name])[0])


def test_with_one_number_nothing_is_measured(monkeypatch):
    def never(*_):
        raise AssertionError("measured")

    monkeypatch.setattr("fallline.core.plan.Scope.decide", never)
    for momentum in (0.9, (0.9,)):
        driven(lambda p, m=momentum: SGD(p, 0.01, m))
    assert Rule.measure  # the phase exists; no scope asked for it


def test_a_bank_of_one_is_that_number_bit_for_bit():
    assert same(driven(lambda p: AdamW(p, 0.01, ((0.9,), 0.99)))[0], driven(lambda p: AdamW(p, 0.01, (0.9, 0.99)))[0])


def test_candidate_order_has_no_meaning():
    a, b = (driven(lambda p, c=c: AdamW(p, 0.01, (c, 0.99)))[0] for c in ((0.5, 0.9, 0.99), (0.99, 0.5, 0.9)))
    assert same(a, b)


def test_late_decisions_are_the_same_ones_a_step_later():
    """lr = 0 keeps the gradients' stream equal, so delay only shifts who acts when."""
    now, late = ([w for w in weights_over_time(delay)] for delay in (0, 1))
    assert now == late


def weights_over_time(delay):
    params = [nn.Parameter(torch.ones(shape)) for shape in SHAPES]
    opt = AdamW(params, 0.0, ("auto", 0.99), bank="full", delay=delay)
    for grads in STREAM:
        for p, g in zip(params, grads, strict=True):
            p.grad = g.float()
        opt.step()
        yield opt.state[params[0]]["filter.weights"].tolist()


def test_a_late_decision_acts_in_the_next_step():
    """The first two steps of delay = 1 use the shortest memory: nobody had chosen yet, then the first choice was a tie."""
    params = [nn.Parameter(torch.ones(300))]
    fixed = [nn.Parameter(torch.ones(300))]
    late, short = (
        AdamW(params, 0.1, ((0.2, 0.99), 0.99), delay=1, weight_decay=0),
        AdamW(fixed, 0.1, (0.2, 0.99), weight_decay=0),
    )
    for _ in range(2):
        params[0].grad, fixed[0].grad = torch.ones(300), torch.ones(300)
        late.step(), short.step()
    assert torch.allclose(params[0], fixed[0])


class TestField:
    """Bundle speaks Tensor's language."""

    pair = (torch.randn(5), torch.randn(2, 3))

    def test_operators_are_elementwise_and_exact(self):
        a, b = Bundle(self.pair), Bundle([x.exp() for x in self.pair])
        c = torch.tensor(0.3, dtype=torch.float64)
        formula = [
            lambda x, y: (x + y) * x - y / x,
            lambda x, y: x.mul(c).div(3.0).add(1e-3).square().sqrt().neg(),
            lambda x, y: x.sign() + y.reciprocal(),
            lambda x, y: x.lerp(y, 0.3),
        ]
        for f in formula:
            assert same(f(a, b), [f(x, y) for x, y in zip(a, b, strict=True)])

    def test_a_number_on_the_left_fails_loudly(self):
        for wrong in (lambda b: 2.0 * b, lambda b: torch.tensor(2.0) * b, lambda b: 1.0 + b):
            with pytest.raises(TypeError):
                wrong(Bundle(self.pair))

    def test_numbers_come_one_per_tensor_in_float64(self):
        a = Bundle(self.pair)
        assert inner(a, a).shape == total(a).shape == peaks(a).shape == (2,)
        assert inner(a, a).dtype == torch.float64
        assert torch.equal(peaks(a), torch.stack([x.abs().max() for x in self.pair]))

    def test_one_tensor_stands_for_itself(self):
        assert isinstance(as_field(self.pair[:1]), torch.Tensor)
        assert isinstance(each(torch.exp, Bundle(self.pair)), Bundle)

    def test_inner_products_are_exact_where_torch_dot_is_not(self):
        x = torch.randn(20_000_000)
        exact = x.double().square().sum()
        assert abs(inner(x, x) / exact - 1) < 1e-6
