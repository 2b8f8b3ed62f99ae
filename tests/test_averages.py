"""Averages: their parts, and that nobody evaluates, saves or copies the wrong weights by forgetting a mode."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import (
    SGD,
    Anchor,
    CheckpointError,
    Constant,
    Coupled,
    Decoupled,
    Descent,
    Euclid,
    Exponential,
    FixedNorm,
    FrankWolfe,
    Frobenius,
    Identity,
    IterateAverage,
    Polynomial,
    PrimalAverage,
    ProdigyStep,
    Rule,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    Sign,
    Sizes,
    Stiefel,
    TwoSided,
    Uncorrected,
    Uniform,
    Wait,
    Warmup,
)
from fallline.core.memory import Memory
from kit import differences, owned, snapshot, stream, walk, weights
from laws.combine import LAWS, clock

STEPS = 15
INSIDE = (
    PrimalAverage(),
    PrimalAverage(1.0, 0.1),
    PrimalAverage(0.5, 0.0, Uniform(2), FrankWolfe(2.0)),
    PrimalAverage(0.9, 0.0, Polynomial(), Anchor()),
)
BESIDE = (
    IterateAverage(),
    IterateAverage(Anchor(), Exponential(0.9)),
    IterateAverage(FixedNorm(), Uniform()),
    IterateAverage(TwoSided()),
)


def double(*shapes):
    source = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=source, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", INSIDE + BESIDE, ids=str)
def test_law(part, law):
    if law.__name__ == "a_zero_move_leaves_the_weights" and part.combine in (FrankWolfe(2.0),):
        return  # it shrinks without a size
    ps = double((5, 4), (3, 6), (2, 3, 4))
    law(part, ps, [p.roll(1, -1) for p in ps])


# --- weights ------------------------------------------------------------------------------------------------------


def shares(part, sizes):
    """c_n for these sizes."""
    mem = Memory(part.memory(torch.zeros(1)))
    return [float(part.share(size, mem, clock(n))) for n, size in enumerate(sizes, 1)]


def averages(part, sizes, zs):
    """x_1 .. x_n by the recursion."""
    found, x = [], torch.full_like(zs[0], torch.nan if not isinstance(part, Uncorrected) else 0.0)
    for c, z in zip(shares(part, sizes), zs, strict=True):
        x = z if c == 1 else x + c * (z - x)
        found.append(x)
    return found


@pytest.mark.parametrize(
    ("part", "weigh"),
    [
        (Uniform(), lambda n, sizes: 1.0),
        (Uniform(3), lambda n, sizes: float(n > 3)),
        (Polynomial(0), lambda n, sizes: 1.0),
        (Polynomial(3), lambda n, sizes: n * (n + 1) * (n + 2)),
        (Exponential(0.7), lambda n, sizes: 0.7**-n),
        (Sizes(0.0, 0.0), lambda n, sizes: 1.0),
        (Sizes(1.5, 2.0), lambda n, sizes: n**1.5 * max(sizes[:n]) ** 2),
    ],
)
def test_every_average_is_the_weighed_mean_that_it_says(part, weigh):
    sizes = [0.1, 0.3, 0.2, 0.5, 0.4, 0.1]
    zs = double(*[(3,)] * 6)
    w = torch.tensor([weigh(n, sizes) for n in range(1, 7)], dtype=torch.float64)
    assert_close(averages(part, sizes, zs)[-1], (w[:, None] * torch.stack(zs)).sum(0) / w.sum(), rtol=1e-12, atol=1e-12)


def test_the_first_average_is_the_first_weights_to_the_last_bit_but_an_uncorrected_one():
    assert shares(Uncorrected(0.9), [0.1]) == [1 - 0.9]
    for part in (Uniform(), Uniform(2), Polynomial(), Exponential(), Sizes(1.0, 1.0)):
        assert shares(part, [0.1]) == [1.0]
    assert shares(Sizes(), [0.0, 0.0, 0.1]) == [0.0, 0.0, 1.0]  # nothing has moved


def test_exponential_is_uncorrected_over_one_minus_beta_to_the_n():
    zs = double(*[(3,)] * 5)
    raw = averages(Uncorrected(0.8), [1.0] * 5, zs)[-1]
    assert_close(averages(Exponential(0.8), [1.0] * 5, zs)[-1], raw / (1 - 0.8**5), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Uniform(-1),
        lambda: Polynomial(-1.0),
        lambda: Exponential(1.0),
        lambda: Uncorrected(-0.1),
        lambda: Sizes(-1.0),
        lambda: Warmup(0),
        lambda: Warmup(2.5),
        lambda: Warmup(3, ProdigyStep()),
        lambda: PrimalAverage(0.0),
        lambda: PrimalAverage(1.1),
        lambda: PrimalAverage(0.9, -1.0),
        lambda: PrimalAverage(combine=FixedNorm()),
        lambda: PrimalAverage(combine=PrimalAverage()),
        lambda: IterateAverage(PrimalAverage()),
    ],
)
def test_numbers_are_checked(wrong):
    with pytest.raises(ValueError, match=r"Invalid|takes|cannot"):
        wrong()


# --- beside the weights -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "combine", [Decoupled(0.1), Coupled(0.1), Anchor(), FrankWolfe(2.0), FixedNorm(), Stiefel(), TwoSided()], ids=str
)
def test_an_average_beside_does_not_touch_the_training(combine):
    metric = Frobenius() if combine.matrix else Euclid()
    runs = []
    for end in (combine, IterateAverage(combine, Uniform())):
        params = [Parameter(x) for x in double((5, 4), (3, 6))]
        opt = Descent([{"params": params, "foreach": True}], Rule(Identity(), metric, Constant(), end), lr=0.02)
        seen = []
        for now in stream(params, STEPS):
            walk(opt, [now])
            seen.append([p.detach().clone() for p in params])
        runs.append(seen)
    assert not differences(*runs)
    with opt.averaged():
        for i, p in enumerate(params):
            mean = torch.stack([step[i] for step in runs[0]]).mean(0)
            assert_close(p.detach(), mean, rtol=1e-12, atol=1e-12)


def test_narrow_weights_are_averaged_in_the_width_of_the_state():
    p = Parameter(torch.ones(1, dtype=torch.bfloat16))
    opt = Descent([p], Rule(Identity(), Sign(), Constant(), IterateAverage(Decoupled(), Exponential(0.999))), lr=1e-2)
    walk(opt, [[torch.full_like(p, (-1.0) ** n)] for n in range(100)])
    assert opt.state[p]["combine.x"].dtype == torch.float32


# --- inside -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("foreach", [True, None])
def test_a_beta_that_is_cycled_on_the_way_does_not_move_the_average(foreach):
    """x is solved from y by the b that y was made with, so OneCycleLR may write another."""
    (p,) = params = [Parameter(x) for x in double((4, 3))]
    opt = ScheduleFreeSGD([{"params": params, "foreach": foreach}], lr=0.1, momentum=0.9)
    z = x = p.detach().clone()
    total, source = 0.0, torch.Generator().manual_seed(3)
    for n in range(STEPS):
        b = opt.param_groups[0]["momentum"] = 0.9 - 0.03 * n
        y, old = p.detach().clone(), 0.9 - 0.03 * max(0, n - 1)
        assert_close(y, (1 - old) * z + old * x, rtol=1e-11, atol=1e-11)
        g = torch.randn(p.shape, generator=source, dtype=p.dtype)
        walk(opt, [[g]])
        total += 1
        z = z - 0.1 * g
        x = x + (z - x) / total
        with opt.averaged():
            assert_close(p.detach(), x, rtol=1e-11, atol=1e-11)
        assert_close(p.detach(), (1 - b) * z + b * x, rtol=1e-11, atol=1e-11)


def test_a_warm_up_is_a_scheduler_inside_and_shows_its_rate():
    a, b = (weights() for _ in range(2))
    opt = Descent(a, Rule(Identity(), Sign(), Warmup(5), Decoupled(0.1)), lr=0.1)
    like = Descent(b, Rule(Identity(), Sign(), Constant(), Decoupled(0.1)), lr=0.1)
    for n, now in enumerate(stream(a, 8), 1):
        like.param_groups[0]["lr"] = 0.1 * min(1, n / 5)
        walk(opt, [now])
        walk(like, [now])
    assert_close([p.detach() for p in a], [p.detach() for p in b])
    assert opt.param_groups[0]["lr"] == 0.1
    walk(opt, stream(a, 1))
    opt.report()
    assert opt.param_groups[0]["effective_lr"] == pytest.approx(0.1)
    young = Descent([Parameter(torch.ones(2))], Rule(Identity(), Sign(), Warmup(4, Wait(1)), Decoupled()), lr=0.1)
    walk(young, stream(owned(young), 2))
    young.report()
    assert young.param_groups[0]["effective_lr"] == pytest.approx(0.05)


# --- evaluation ---------------------------------------------------------------------------------------------------


class Net(nn.Module):
    """Two layers and a BatchNorm, which also answers to a method that is not forward."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 2))

    def forward(self, x):
        return self.body(x)


def data(n: int = 0):
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(n))


def train(model, opt, steps=3, first=0):
    """Some steps on noise; the loss is that of a model which trains."""
    model.train()
    for n in range(first, first + steps):
        opt.zero_grad()
        model(data(n)).square().mean().backward()
        opt.step()


def numbers(model):
    return [p.detach().clone() for p in model.parameters()]


def made(seed: int = 0, kind=ScheduleFreeAdamW, **how):
    model = Net(seed)
    return model, kind(model.parameters(), lr=0.05, **how)


def two(opt, model):
    """Both sets of weights: those that gradients are taken at, and those to evaluate."""
    live = numbers(model)
    with opt.averaged():
        return live, numbers(model)


def test_an_exception_or_a_nested_block_leaves_what_was_there():
    model, opt = made()
    train(model, opt)
    live, shown = two(opt, model)
    assert differences(live, shown)
    with pytest.raises(KeyError), opt.averaged():
        raise KeyError
    assert not differences(live, numbers(model))
    with opt.averaged():
        with opt.averaged():
            pass
        assert not differences(shown, numbers(model))
    opt.eval()
    with opt.averaged():
        pass
    assert not differences(shown, numbers(model))
    opt.train()
    assert not differences(live, numbers(model))
    with opt.averaged():
        opt.train()  # goes on inside the block
        train(model, opt, 1)
        live = numbers(model)
    assert not differences(live, numbers(model))


def test_an_interrupted_swap_is_undone(monkeypatch):
    model, opt = made()
    train(model, opt)
    live, calls = numbers(model), itertools.count()
    copy_ = torch.Tensor.copy_

    def interrupted(self, other):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return copy_(self, other)

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "copy_", interrupted)
        with opt.averaged():
            pass
    assert not differences(live, numbers(model))


def test_without_a_mode_steps_and_copies_are_refused():
    model, opt = made()
    train(model, opt)
    for begin, end in ((opt.eval, opt.train), (opt.averaged().__enter__, opt.train)):
        begin()
        for forbidden in (opt.step, lambda: copy.deepcopy(opt), lambda: pickle.dumps(opt)):
            with pytest.raises(RuntimeError, match=r"Call opt\.train\(\) first"):
                forbidden()
        end()
    copy.deepcopy(opt)
    opt.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("order", ["model first", "optimizer first"])
@pytest.mark.parametrize("mode", ["evaluation", "training"])
@pytest.mark.parametrize("there", ["fresh", "trained", "evaluating"])
def test_saved_in_either_mode_and_loaded_in_either_order_it_goes_on_to_the_last_bit(dtype, order, mode, there):
    def pair(seed):
        params = weights(dtype=dtype, seed=seed)
        write = "kahan" if dtype == torch.bfloat16 else None
        return params, ScheduleFreeAdamW(params, lr=0.05, warmup_steps=2, write=write)

    params, opt = pair(0)
    gradients = stream(params, 9)
    walk(opt, gradients[:5])
    if mode == "evaluation":
        opt.eval()
    file = io.BytesIO()
    torch.save({"model": [p.detach() for p in params], "opt": opt.state_dict()}, file)
    shown = two(opt, params_as(params))[1]
    opt.train()
    live = [p.detach().clone() for p in params]
    others, other = pair(1)
    if there != "fresh":
        walk(other, stream(others, 3, seed=4))
    if there == "evaluating":
        other.eval()
    file.seek(0)
    found = torch.load(file, weights_only=True)

    def load_model():
        with torch.no_grad():
            for p, x in zip(others, found["model"], strict=True):
                p.copy_(x)

    steps = [load_model, lambda: other.load_state_dict(found["opt"])]
    for step in steps if order == "model first" else steps[::-1]:
        step()
    with other.averaged():
        assert not differences(shown, [p.detach() for p in others])
    other.train()
    assert not differences(live, [p.detach() for p in others])
    for one in (opt, other):
        walk(one, gradients[5:])
    assert not differences(snapshot(opt), snapshot(other))


def params_as(params):
    """Parameters as a model."""
    return nn.ParameterList(params)


def test_a_checkpoint_of_an_evaluation_that_lost_the_live_weights_is_refused():
    model, opt = made()
    train(model, opt)
    with opt.averaged():
        told = copy.deepcopy(opt.state_dict())
    for entry in told["state"].values():
        del entry["live"]
    before = snapshot(opt)
    with pytest.raises(CheckpointError, match=r"saved in evaluation"):
        opt.load_state_dict(told)
    assert not differences(before, snapshot(opt))


def test_a_refused_checkpoint_leaves_the_evaluation():
    model, opt = made()
    train(model, opt)
    live, shown = two(opt, model)
    opt.eval()
    with pytest.raises(CheckpointError):
        opt.load_state_dict(SGD(Net().parameters(), momentum=0.9).state_dict())
    assert not differences(shown, numbers(model))
    opt.train()
    assert not differences(live, numbers(model))


def test_weights_written_in_evaluation_are_lost_with_a_word():
    model, opt = made()
    train(model, opt)
    opt.eval()
    model.load_state_dict(Net(1).state_dict())
    with pytest.warns(UserWarning, match="Somebody wrote to the parameters"):
        opt.train()


def test_frozen_weights_are_evaluated_as_they_were_trained():
    model, opt = made()
    model.body[0].bias.requires_grad_(False)
    train(model, opt)
    model.body[3].requires_grad_(False)
    live, shown = numbers(model), two(opt, model)[1]
    model.requires_grad_(False)  # as one does before inference
    opt.eval()
    assert not differences(shown, numbers(model))
    assert torch.equal(live[1], shown[1])  # never trained
    assert not torch.equal(live[4], shown[4])
    opt.train()
    assert not differences(live, numbers(model))


def test_inference_mode_leaves_nothing_behind_that_cannot_be_trained():
    for early in (True, False):
        model, opt = made()
        link = opt.follow(model)
        if not early:
            train(model, opt)
        with torch.inference_mode():
            model.eval()(data())
        train(model, opt)
        assert all(not x.is_inference() for entry in opt.state.values() for x in entry.values())
        link.remove()


def test_a_closure_may_evaluate():
    runs = []
    for looks in (False, True):
        model, opt = made()

        def closure(model=model, opt=opt, looks=looks):
            opt.zero_grad()
            if looks:
                with opt.averaged(), torch.no_grad():
                    model.body[0](data())
            loss = model(data()).square().mean()
            loss.backward()
            return loss

        for _ in range(4):
            opt.step(closure)
        runs.append(numbers(model))
    assert not differences(*runs)


def test_groups_added_in_evaluation_join():
    model, opt = made()
    train(model, opt)
    late = Parameter(torch.ones(3))
    with opt.averaged():
        opt.add_param_group({"params": [late]})
    late.grad = torch.ones(3)
    opt.step()
    assert not torch.equal(late, torch.ones(3))


# --- following a model --------------------------------------------------------------------------------------------


def test_weights_follow_the_model():
    model, opt = made()
    link = opt.follow(model)
    train(model, opt)
    live, shown = two(opt, model)
    model.eval()
    model(data())
    assert not differences(shown, numbers(model))
    model.train()
    model(data())
    assert not differences(live, numbers(model))
    model.eval()
    assert not differences(shown, [model.state_dict()[name] for name, _ in model.named_parameters()])
    model.train()
    assert not differences(live, [model.state_dict()[name] for name, _ in model.named_parameters()])
    model.eval()
    model(data())
    train(model, opt)  # without a word to the optimizer
    model.eval()(data())
    opt.step()  # gradients of before
    link.remove()
    model.eval()(data())
    assert opt._evaluation.live is None
    opt.step()


def test_what_was_said_goes_before_what_the_model_does():
    """update_bn trains the model's BatchNorm, at the weights to evaluate."""
    model, opt = made()
    opt.follow(model)
    train(model, opt)
    shown = two(opt, model)[1]
    with opt.averaged():
        torch.optim.swa_utils.update_bn([data(n) for n in range(4)], model)
        assert not differences(shown, numbers(model))
        with pytest.raises(RuntimeError, match=r"opt\.train\(\)"):
            opt.step()
    model.eval()(data())
    assert not differences(shown, numbers(model))


@pytest.mark.parametrize("first", ["model", "optimizer"])
@pytest.mark.parametrize("was", [True, False])
@pytest.mark.parametrize("now", [True, False])
def test_a_followed_pair_is_saved_as_a_pair(first, was, now):
    """Whatever mode the last forward pass was in, and whichever is asked first."""
    model, opt = made()
    opt.follow(model)
    train(model, opt)
    live, shown = two(opt, model)
    model.train(was)(data())
    model.train(now)
    found = {}
    for part in ("model", "optimizer") if first == "model" else ("optimizer", "model"):
        found[part] = copy.deepcopy((model if part == "model" else opt).state_dict())
    other, twin = made(1)
    other.load_state_dict(found["model"])
    twin.load_state_dict(found["optimizer"])
    told = two(twin, other)
    assert not differences(shown, told[1])
    twin.train()
    assert not differences(live, numbers(other))


def test_gradients_at_the_weights_to_evaluate_are_refused():
    model, opt = made()
    opt.follow(model)
    train(model, opt)
    opt.zero_grad()
    model.eval()
    model(data()).square().mean().backward()
    with pytest.raises(RuntimeError, match=r"model\.train\(\) before the forward pass"):
        opt.step()


def test_copies_of_a_followed_model_lead_nobody():
    model, opt = made()
    opt.follow(model)
    train(model, opt)
    live = numbers(model)
    twin = copy.deepcopy(model)
    twin.eval()(data())
    assert not differences(live, numbers(model))
    again = pickle.loads(pickle.dumps(model))
    again.eval()(data())
    assert not differences(live, numbers(model))
    assert not differences(snapshot(copy.deepcopy(opt))["params"], live)


def test_of_several_models_one_that_trains_is_enough():
    """A discriminator in evaluation does not move a generator that is just being trained."""
    a, b = Net(0), Net(1)
    opt = ScheduleFreeSGD([*a.parameters(), *b.parameters()], lr=0.1)
    opt.follow(a)
    opt.follow(b)
    b.eval()
    for _ in range(3):
        opt.zero_grad()
        b.body[3](b.body[0](data())).sum().backward()
        b(a(data()).repeat(1, 2)).square().mean().backward()
        opt.step()
    assert opt._evaluation.live is None
    a.eval()(data())
    assert opt._evaluation.live is not None


@pytest.mark.slow
def test_a_compiled_model_is_followed():
    model, opt = made()
    opt.follow(model)
    quick = torch.compile(model, backend="eager")
    train(quick, opt)
    live, shown = two(opt, model)
    with torch.no_grad():
        quick.eval()(data())
    assert not differences(shown, numbers(model))
    with torch.no_grad():
        quick.train()(data())
    assert not differences(live, numbers(model))


def test_optimizers_without_an_average_do_nothing_there():
    model = Net()
    opt = SGD(model.parameters(), lr=0.1)
    opt.follow(model)
    train(model, opt)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.eval()(data())
        opt.step()
        with opt.averaged():
            opt.step()
            copy.deepcopy(opt)
    assert "evaluated" not in opt.state_dict()["param_groups"][0]
