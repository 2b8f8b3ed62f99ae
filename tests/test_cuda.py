"""On a GPU: the numbers of the CPU, and no step that waits for the device. Skipped where there is none."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from fallline import SGD, SPS, AdamW, Cone, Greedy, Lion
from fallline.core.error import NonFiniteError
from fallline.core.kernel.launch import Launch
from fallline.core.kernel.printed import Printed
from fallline.core.memory import Memory
from fallline.zoo.precision import WRITES
from sampler import noisy_descent

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SHAPES = ((300, 40), (7,), (), (2, 3, 4))
STREAM = noisy_descent(9, 20, SHAPES)
AUTO = ("auto", 0.999)
RECIPES = {
    "adamw": lambda p: AdamW(p, 0.01),
    "auto": lambda p: AdamW(p, 0.01, AUTO),
    "full": lambda p: AdamW(p, 0.01, AUTO, bank="full"),
    "nesterov": lambda p: SGD(p, 0.01, 0.9, nesterov=True),
    "lion": lambda p: Lion(p, 0.01),
    "parameter": lambda p: AdamW(p, 0.01, AUTO, selector=Greedy(scope="parameter")),
    "late": lambda p: AdamW(p, 0.01, AUTO, delay=1),
    "cone": lambda p: AdamW(p, 0.01, AUTO, bank="full", selector=Cone()),
    "sgd-auto": lambda p: SGD(p, 0.01, "auto"),
    "lion-auto": lambda p: Lion(p, 0.01, ("auto", 0.99)),
}


def driven(make, device, dtype=torch.float64, poison=()):
    """Parameters after a fixed stream, and the optimizer; gradients of the steps in `poison` hold a NaN."""
    params = [nn.Parameter(torch.ones(s, dtype=dtype, device=device)) for s in SHAPES]
    opt = make(params)
    for n, grads in enumerate(STREAM):
        for p, g in zip(params, grads, strict=True):
            p.grad = (g * torch.nan if n in poison else g).to(device, dtype)
        opt.step()
    return params, opt


@pytest.mark.parametrize("name", RECIPES)
def test_the_gpu_finds_what_the_cpu_finds(name):
    (here, a), (there, b) = driven(RECIPES[name], "cpu"), driven(RECIPES[name], "cuda")
    assert all(torch.allclose(p, q.cpu(), rtol=1e-9, atol=1e-12) for p, q in zip(here, there, strict=True))
    assert a.report()["groups"][0]["momentum"] == pytest.approx(b.report()["groups"][0]["momentum"])


@pytest.mark.filterwarnings("ignore:The gradient")
@pytest.mark.parametrize("name", RECIPES)
def test_a_bad_step_moves_nothing_and_is_heard_of_later(name):
    (here, _), (there, opt) = (driven(RECIPES[name], d, poison=(3, 4, 11)) for d in ("cpu", "cuda"))
    assert all(torch.allclose(p, q.cpu(), rtol=1e-9, atol=1e-12) for p, q in zip(here, there, strict=True))
    assert opt.report()["skipped"] == 3


@pytest.mark.filterwarnings("ignore:The gradient")
def test_ten_bad_steps_in_a_row_raise_here_too():
    with pytest.raises(NonFiniteError, match="in a row"):
        _, opt = driven(RECIPES["auto"], "cuda", poison=range(20))
        opt.report()


@pytest.mark.parametrize("write", ["nearest", "kahan", "stochastic"])
def test_bfloat16_weights_are_written_alike(write):
    """The dice are the same bits; the arithmetic before them may differ in the last place."""
    torch.manual_seed(1)
    p, w, part, found = torch.randn(3, 1000).bfloat16(), torch.randn(3, 1000), WRITES[write], {}
    for device in ("cpu", "cuda"):
        q, t = p.to(device, copy=True), torch.tensor(5.0, dtype=torch.float64, device=device)
        part.close(q, w.to(device), Memory(part.memory(q)), t)
        found[device] = q.cpu()
    assert torch.equal(found["cpu"], found["cuda"])


@pytest.mark.parametrize("write", ["nearest", "kahan", "stochastic"])
def test_writing_bfloat16_never_waits(write):
    never_waits(*driven(lambda p: AdamW(p, 0.01, AUTO, write=write), "cuda", torch.bfloat16))


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "cone"])
def test_a_step_never_waits(name):
    """torch raises at every synchronisation of host and device; the first step may allocate and plan."""
    never_waits(*driven(RECIPES[name], "cuda", torch.float32))


def never_waits(params, opt):
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            opt.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(p.isfinite().all() for p in params)


def passes(opt):
    """What runs in a step, by reading."""
    return [run for chunk in opt._plan.chunks for run in chunk.route.passes.values()]


@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")
@pytest.mark.parametrize("name", RECIPES)
def test_kernels_are_in_use(name):
    _, opt = driven(RECIPES[name], "cuda")
    assert {type(chunk.route) for chunk in opt._plan.chunks} == {Printed}
    assert any(isinstance(made.run, Launch) for made in passes(opt))


@pytest.mark.parametrize("name", ["adamw", "auto", "full", "late"])
def test_gradients_that_move_are_followed_without_waiting(name):
    params, opt = driven(RECIPES[name], "cuda")
    mirror, other = driven(RECIPES[name], "cpu")
    torch.cuda.synchronize()
    fresh = [[torch.randn_like(p) for p in params] for _ in range(4)]
    torch.cuda.set_sync_debug_mode("error")
    try:
        for grads in fresh:
            for p, g in zip(params, grads, strict=True):
                p.grad = g
            opt.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for grads in fresh:
        for p, g in zip(mirror, grads, strict=True):
            p.grad = g.cpu()
        other.step()
    assert all(torch.allclose(p, q.cpu(), rtol=1e-9, atol=1e-12) for p, q in zip(mirror, params, strict=True))


GRAPHS = [name for name in RECIPES if name != "cone"]  # linalg.solve_ex asks the host


def captured(name, lr=0.01, warm=3):
    """Parameters with gradients that stay where they are, an optimizer after some steps, and a graph of one more."""
    params, opt = [nn.Parameter(torch.ones(s, dtype=torch.float64, device="cuda")) for s in SHAPES], None
    for p, g in zip(params, STREAM[0], strict=True):
        p.grad = g.to("cuda", torch.float64)
    opt = RECIPES[name](params)
    for group in opt.param_groups:
        group["lr"] = lr
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for grads in STREAM[:warm]:
            put(params, grads)
            opt.step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        opt.step()
    return params, opt, graph


def put(params, grads):
    for p, g in zip(params, grads, strict=True):
        p.grad.copy_(g)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_captured_step_is_a_step(name):
    """The choice, the clock and the bias corrections move in replays too, with steps beside the graph in between."""
    expected, other = driven(RECIPES[name], "cpu")
    params, opt, graph = captured(name)
    for n, grads in enumerate(STREAM[3:]):
        put(params, grads)
        opt.step() if n in (4, 5) else graph.replay()
    assert all(torch.allclose(p, q.cpu(), rtol=1e-9, atol=1e-12) for p, q in zip(expected, params, strict=True))
    a, b = other.report(), opt.report()
    assert a["step"] == b["step"] == len(STREAM)
    if name != "late":  # which shows what comes next
        assert b["groups"][0]["momentum"] == pytest.approx(a["groups"][0]["momentum"])
    graph.replay()  # and a report does not take the state away from the graph
    assert opt.report()["step"] == len(STREAM) + 1


def test_a_learning_rate_on_the_device_is_read_in_every_replay():
    lr = torch.tensor(0.01, device="cuda")
    params, _, graph = captured("auto", lr)
    before = [p.detach().clone() for p in params]
    lr.zero_()
    graph.replay()
    assert all(torch.equal(p, q) for p, q in zip(params, before, strict=True))


@pytest.mark.filterwarnings("ignore:The gradient")
@pytest.mark.parametrize("name", GRAPHS)
def test_a_replay_skips_bad_gradients_and_counts_them(name):
    params, opt, graph = captured(name)
    graph.replay()
    before = [p.detach().clone() for p in params]
    params[0].grad[0, 0] = torch.nan
    graph.replay()
    assert all(torch.equal(p, q) for p, q in zip(params, before, strict=True))
    assert opt.report()["skipped"] == 1


@pytest.mark.filterwarnings("ignore:.*[gG]raph is empty")
def test_a_graph_needs_a_step_before_it():
    params = [nn.Parameter(torch.ones(s, device="cuda")) for s in SHAPES]
    opt = RECIPES["auto"](params)
    for p in params:
        p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match="Take a few steps"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        opt.step()


def test_a_step_that_spends_the_loss_is_refused_on_two_devices():
    a, b = (torch.nn.Parameter(torch.ones(2, device=device)) for device in ("cpu", "cuda"))
    opt, loss = SPS([a, b]), a.square().sum() + b.square().sum().cpu()
    loss.backward()
    with pytest.raises(ValueError, match="parameters on cpu and cuda:0 decide apart"):
        opt.step(loss=loss)
    assert a.detach().equal(torch.ones(2)) and b.detach().cpu().equal(torch.ones(2))
