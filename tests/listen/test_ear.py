"""The ear: it hears what the optimizer sees, changes nothing, and finds the statistics of streams that it is given."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
import torch
from benchmarks.listen import STREAMS, WINDOW, listen
from benchmarks.stream import Stream
from benchmarks.truth import READ, closed
from torch import Tensor, nn

import fallline
from fallline.listen import Ear, Heard
from fallline.listen.column import Columns


def model() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def train(net: nn.Module, opt: torch.optim.Optimizer, steps: int = 40) -> list[Tensor]:
    """Returns the gradients, flat."""
    source, seen = torch.Generator().manual_seed(2), []
    for _ in range(steps):
        opt.zero_grad()
        net(torch.randn(16, 6, generator=source)).square().mean().backward()
        seen.append(torch.cat([p.grad.flatten() for p in net.parameters()]))  # type: ignore[union-attr]
        opt.step()
    return seen


def adamw(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(net.parameters(), lr=0.01)


def test_it_is_called_by_the_name_of_its_folder() -> None:
    assert isinstance(fallline.listen(model()), Ear)
    assert fallline.listen.Ear is Ear  # type: ignore[attr-defined]


def test_small_models_are_heard_whole_and_products_are_exact() -> None:
    net = model()
    with fallline.listen(net, window=6) as ear:
        g = torch.stack(train(net, adamw(net))).double()
    record = ear.record()
    at = Columns(6)["euclid"]
    for lag in range(7):
        truth = sum(float(g[n] @ g[n - lag]) for n in range(lag, 40))
        assert float(record.sums[:, :, at.start + lag].sum()) == pytest.approx(truth, rel=1e-4)
        assert float(record.counts[:, at.start + lag].sum()) == 40 - lag
    heard = ear.estimates(parameters=False).total
    assert heard.power.value == pytest.approx(float(g.square().sum(1).mean()), rel=1e-5)
    assert heard.sampled == heard.numel == sum(p.numel() for p in net.parameters())


def test_training_is_the_same_with_an_ear() -> None:
    heard, alone = model(), model()
    torch.manual_seed(3)
    with fallline.listen(heard, window=8) as ear:
        train(heard, adamw(heard))
        ear.estimates()
        ear.sharpness(lambda: heard(torch.ones(4, 6)).square().mean())
    after = torch.rand(())
    torch.manual_seed(3)
    train(alone, adamw(alone))
    assert torch.equal(after, torch.rand(()))
    for p, q in zip(heard.parameters(), alone.parameters(), strict=True):
        assert torch.equal(p, q)
        assert p.grad is not None and q.grad is not None and torch.equal(p.grad, q.grad)


def test_hooks_go_with_the_ear() -> None:
    net = model()
    opt = adamw(net)
    with fallline.listen(net, window=4) as ear:
        train(net, opt, 16)
    train(net, opt, 16)
    assert ear.estimates().steps == 16


def test_other_models_are_not_heard() -> None:
    net, other = model(), model()
    with fallline.listen(net, window=4) as ear:
        train(other, adamw(other), 8)
    assert ear.time == 0


def test_the_model_is_held_weakly() -> None:
    net = model()
    ear = fallline.listen(net)
    gone = weakref.ref(net[0].weight)
    del net
    gc.collect()
    assert gone() is None and len(ear.desk.spots) == 4


def test_observe_needs_no_optimizer_and_is_not_heard_twice() -> None:
    net, source = model(), torch.Generator().manual_seed(2)
    opt = adamw(net)
    ear = fallline.listen(net, window=4)
    with ear:
        for _ in range(16):
            opt.zero_grad()
            net(torch.randn(16, 6, generator=source)).square().mean().backward()
            ear.observe()
            opt.step()
    assert ear.estimates().steps == 16


def test_closures_are_heard_when_they_have_run() -> None:
    net, other = model(), model()
    opt, source = adamw(net), torch.Generator().manual_seed(2)

    def closure() -> Tensor:
        opt.zero_grad()
        loss: Tensor = net(torch.randn(16, 6, generator=source)).square().mean()
        loss.backward()
        return loss

    with fallline.listen(net, window=4) as closed, fallline.listen(other, window=4) as plain:
        for _ in range(16):
            opt.step(closure)
        train(other, adamw(other), 16)
    assert torch.allclose(closed.record().sums, plain.record().sums)


def test_two_optimizers_make_one_step() -> None:
    net, other = model(), model()
    opts = [torch.optim.AdamW(part.parameters(), lr=0.01) for part in (net[0], net[2])]
    source = torch.Generator().manual_seed(2)
    with fallline.listen(net, window=4) as two, fallline.listen(other, window=4) as one:
        for _ in range(16):
            net.zero_grad()
            net(torch.randn(16, 6, generator=source)).square().mean().backward()
            for opt in opts:
                opt.step()
        train(other, adamw(other), 16)
    assert two.steps == 16
    assert torch.allclose(two.record().sums, one.record().sums)


def test_a_gradient_that_is_not_finite_counts_for_nothing() -> None:
    net = model()
    opt = torch.optim.SGD(net.parameters(), lr=0.0)
    with fallline.listen(net, window=4) as ear:
        for n in range(16):
            for p in net.parameters():
                p.grad = torch.full_like(p, torch.inf if n == 5 else 1.0)
            opt.step()
    assert ear.estimates().total.power.value == pytest.approx(sum(p.numel() for p in net.parameters()))
    assert float(ear.record().counts[:, 0].sum()) == 15


def test_every_second_stretch() -> None:
    net = model()
    with fallline.listen(net, every=2, window=8) as ear:
        train(net, adamw(net), 64)
    record = ear.record()
    assert record.steps == 32
    assert float(record.counts[:, Columns(8)["euclid"]][:, 8].sum()) == 2 * (16 - 8)  # no lag reaches over the gap


def test_habits_and_shapes_are_read() -> None:
    net = model()
    with fallline.listen(net, window=8, batch=16) as ear:
        train(net, adamw(net), 200)
    heard = ear.estimates()
    assert heard.total.lr == 0.01 and heard.total.momentum == 0.9
    assert heard.total.buffer is not None and 1 <= heard.total.buffer.stable_rank.value <= 8
    assert heard.total.update is not None and 0 < heard.total.update.value < 0.1
    assert heard.total.critical_batch is not None
    assert set(heard.roles) == {"hidden", "bias", "head"} and set(heard.parameters) == {s.name for s in ear.desk.spots}
    json.dumps(heard.json(), allow_nan=False)


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        fallline.listen(model(), window=0)
    with pytest.raises(ValueError, match="nothing to hear"):
        fallline.listen(nn.ReLU())
    with pytest.raises(ValueError, match="Invalid level"):
        fallline.listen(model()).estimates(level=1.5)


@pytest.mark.parametrize("stream", [s for s in STREAMS if s.rho < 0.95], ids=lambda s: s.name)
def test_known_streams(stream: Stream) -> None:
    truth, heard = closed(stream, WINDOW), listen(stream, seed=4, level=0.999)
    for name, value in truth.items():
        told = READ[name](heard.total)
        assert value != value or (told is not None and told.low <= value * (1 + 1e-9) and value <= told.high), name


def test_too_few_steps_say_so() -> None:
    heard: Heard = listen(STREAMS[3], seed=0, steps=16)
    assert heard.total.power.low == -torch.inf and heard.total.power.high == torch.inf
    assert heard.json()["total"]["power"]["low"] is None


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_the_defaults_of_a_program_do_not_matter(kind: torch.dtype) -> None:
    net = model()
    torch.set_default_dtype(kind)
    torch.set_default_device("meta")  # what is made without a device would hold no numbers
    try:
        with fallline.listen(net, window=4) as ear:
            opt = adamw(net)
            for _ in range(16):
                net(torch.ones(2, 6, dtype=torch.float32, device="cpu")).square().mean().backward()
                opt.step()
        heard = ear.estimates(parameters=False)
        assert ear.recommend() and heard.steps == 16 and heard.total.power.value > 0
        assert torch.get_default_dtype() == kind and torch.zeros(()).is_meta
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
