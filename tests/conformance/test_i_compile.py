"""I: torch.compile and CUDA graphs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from conformance.recipe import Recipe
from fallline import Replay
from fallline.core import guard
from kit import differences, feed, owned, snapshot, stream, walk

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's compiler has its own


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    """What other tests compiled is forgotten."""
    torch._dynamo.reset()


def close(a: Any, b: Any) -> None:
    """Compiled and eager agree to rounding, which is bfloat16's where torch's Muon orthogonalises."""
    rounding = 1e-2 if type(a) is torch.optim.Muon else 1e-5
    torch.testing.assert_close(
        [p.detach() for p in owned(a)], [p.detach() for p in owned(b)], rtol=10 * rounding, atol=rounding
    )


def turning(params: list[Any]) -> list[list[torch.Tensor]]:
    """Ten gradients that alternate, which asks for short memory, then ten that persist."""
    drift = stream(params, 1)[0]
    return [[(-1.0) ** min(n, 10) * g for g in drift] for n in range(20)]


def test_i1_twenty_changing_steps_are_at_most_three_graphs(recipe: Recipe) -> None:
    """While a schedule moves the learning rate, the choices change and gradients are clipped."""
    counter = CompileCounter()
    # By the batch that a sign has just taken in, the shortest memory always pays: a path of choices is given.
    other = {"selector": Replay((0,) * 10 + (1,))} if recipe.name == "Lion auto" else {}
    plain, compiled = (recipe.made(**other) for _ in range(2))
    step = torch.compile(compiled.step, backend=counter)
    schedulers = [torch.optim.lr_scheduler.CosineAnnealingLR(opt, 20) for opt in (plain, compiled)]
    chosen = set()
    for now in turning(owned(plain)):
        for opt, go in ((plain, plain.step), (compiled, step)):
            feed(owned(opt), now)
            torch.nn.utils.clip_grad_norm_(owned(opt), 1.0)
            go()
        for scheduler in schedulers:
            scheduler.step()
        chosen.add(str(compiled.param_groups[0].get("chosen")))
    close(plain, compiled)
    assert counter.frame_count <= 3 and (len(chosen) > 1) == recipe.chooses


def test_i1_a_compiled_training_step(recipe: Recipe) -> None:
    """Model, backward pass, clipping and step in one compiled function: few graphs, none of them again."""
    counter, ends = CompileCounter(), []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = torch.nn.Sequential(*(torch.nn.Linear(4, 4, bias=False) for _ in range(2)))
        opt = recipe.build(model.parameters())

        def train(x: torch.Tensor, model: Any = model, opt: Any = opt) -> torch.Tensor:
            opt.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            opt.step()
            return loss

        go = torch.compile(train, backend=counter) if compiled else train
        for n, x in enumerate(torch.randn(12, 8, 4, generator=torch.Generator().manual_seed(1))):
            if n == 4:
                graphs = counter.frame_count
            go(x)
        ends.append(opt)
    close(*ends)
    assert counter.frame_count - graphs == 0


@pytest.mark.host
def test_i1_with_inductor(recipe: Recipe) -> None:
    """The compiler that users have."""
    plain, compiled = recipe.made(), recipe.made()
    step = torch.compile(compiled.step)
    for now in stream(owned(plain), 6):
        for opt, go in ((plain, plain.step), (compiled, step)):
            feed(owned(opt), now)
            go()
    close(plain, compiled)


def test_i2_a_learning_rate_that_is_filled_in_recompiles_nothing(recipe: Recipe) -> None:
    """After the first steps, which torch needs to see that a clock is no constant."""
    counter = CompileCounter()
    lr = torch.tensor(0.01)
    opt = recipe.made(lr=lr)
    step = torch.compile(opt.step, backend=counter)
    for n, now in enumerate(stream(owned(opt), 12)):
        feed(owned(opt), now)
        step()
        lr.fill_(0.01 * (n + 2))
        if n == 3:
            before = counter.frame_count
    assert counter.frame_count == before


def test_i2_choices_are_tensors(chooser: Recipe) -> None:
    """Which candidate leads is an index in a tensor, so that no graph depends on it."""
    opt = chooser.made()
    walk(opt, stream(owned(opt), 5))
    choosing = [p for p in owned(opt) if "filter.choice" in opt.state[p] or not chooser.routed]
    assert choosing
    for p in choosing:
        held = {key: x for key, x in opt.state[p].items() if key.startswith("filter.")}
        assert {"filter.choice", "filter.weights", "filter.pay"} <= set(held)
        assert all(isinstance(x, torch.Tensor) for x in held.values())


def test_i3_reports_are_those_of_eager_steps(ours: Recipe) -> None:
    """What is shown in the groups, counted and reported does not depend on who called step."""
    plain, compiled = ours.made(), ours.made()
    step = torch.compile(compiled.step, backend="eager")
    for now in stream(owned(plain), 8):
        for opt, go in ((plain, plain.step), (compiled, step)):
            feed(owned(opt), now)
            go()
    assert compiled.report() == plain.report() and differences(snapshot(compiled), snapshot(plain)) == []


def test_i3_hooks_are_called_once(recipe: Recipe) -> None:
    opt, calls = recipe.made(), []
    opt.register_step_post_hook(lambda *_: calls.append(1))
    step = torch.compile(opt.step, backend="eager")
    for now in stream(owned(opt), 3):
        feed(owned(opt), now)
        step()
    assert calls == [1, 1, 1]


def test_i4_capture_is_refused_where_it_would_go_wrong(ours: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a first step with the same gradients: a graph would leave out what is not there yet."""
    opt = ours.made()
    feed(owned(opt), stream(owned(opt), 1)[0])
    before = snapshot(opt)
    monkeypatch.setattr(guard, "capturing", lambda device: True)
    with pytest.raises(RuntimeError, match=r"capture a step only after one was taken with the same parameters, grad"):
        opt.step()
    assert differences(snapshot(opt), before) == []


def test_i4_a_missing_gradient_is_refused_too(ours: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = ours.made()
    now = stream(owned(opt), 1)[0]
    walk(opt, [now])
    feed(owned(opt), [None, *now[1:]])
    monkeypatch.setattr(guard, "capturing", lambda device: True)
    with pytest.raises(RuntimeError, match=r"let p\.grad stay"):
        opt.step()
