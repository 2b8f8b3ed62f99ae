"""The loops in C say what the window says with tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fallline
from fallline.core.kernel import compiler
from fallline.listen import Record, kernel, look
from fallline.listen.reach import Reach

native = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")


class Plain(torch.optim.Optimizer):
    """Moves weights whatever the gradients are."""

    def __init__(self, ps: list[nn.Parameter]) -> None:
        super().__init__(ps, {"lr": 0.1, "momentum": 0.8})

    def step(self, closure: Any = None) -> None:
        """A hundredth."""
        for p in self.param_groups[0]["params"]:
            p.data *= 1.01


def mixed() -> nn.Module:
    """Small and large tensors, ends of runs, convolutions in two layouts, one without gradients."""
    net = nn.Module()
    for i, size in enumerate([(5,), (8,), (19,), (), (3, 7), (70, 90), (6, 4, 3, 3), (9000,), (40, 300)]):
        net.register_parameter(f"p{i}", nn.Parameter(torch.randn(size)))
    net.conv = nn.Conv2d(8, 12, 3).to(memory_format=torch.channels_last)
    return net


def heard(net: nn.Module, gradients: Callable[[int, int, Tensor], Tensor | None], **how: Any) -> Record:
    """40 steps of two optimizers, whose gradients are a function of step, parameter and its value."""
    ps = list(net.parameters())
    opts = [Plain(ps[::2]), Plain(ps[1::2])]
    with fallline.listen(net, **how) as ear:
        for n in range(40):
            for i, p in enumerate(ps):
                p.grad = gradients(n, i, p)
            for opt in opts:
                opt.step()
        return ear.record()


def noise(n: int, i: int, p: Tensor) -> Tensor:
    return torch.randn(p.shape, generator=torch.Generator().manual_seed(100 * n + i)) + 0.3


def holes(n: int, i: int, p: Tensor) -> Tensor | None:
    g = noise(n, i, p)
    if n in (4, 22):
        g = g / 0 if i == 3 else g
    return None if (n + i) % 5 == 0 else g


def layouts(n: int, i: int, p: Tensor) -> Tensor:
    g = noise(n, i, p)
    return g.T.contiguous().T if g.ndim == 2 and n % 2 else g.to_sparse() if i == 4 else g


def both(monkeypatch: pytest.MonkeyPatch, listen: Callable[[], Record]) -> tuple[Record, Record]:
    """With C and without."""
    torch.manual_seed(0)
    assert kernel.page() is not None
    fast = listen()
    with monkeypatch.context() as patch:
        patch.setenv("FALLLINE_NATIVE", "0")
        compiler.compiler.cache_clear()
        torch.manual_seed(0)
        slow = listen()
    compiler.compiler.cache_clear()
    return fast, slow


def close(one: Record, other: Record) -> None:
    for name in ("sums", "counts", "runs"):
        x, y = getattr(one, name), getattr(other, name)
        scale = y.flatten(0, -2).abs().amax(0).clamp(min=1e-6)
        torch.testing.assert_close(x / scale, y / scale, rtol=0, atol=3e-5)
    for (n, x), (m, y) in zip(one.recent, other.recent, strict=True):
        assert n == m
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-3)


@native
@pytest.mark.parametrize("gradients", [noise, holes, layouts])
@pytest.mark.parametrize("how", [{"window": 16}, {"window": 5}, {"window": 3, "every": 2}])
def test_a_block_says_the_same(monkeypatch: pytest.MonkeyPatch, gradients: Any, how: dict[str, int]) -> None:
    close(*both(monkeypatch, lambda: heard(mixed(), gradients, **how)))


@native
@pytest.mark.parametrize(
    "changed",
    [
        lambda x: x.double(),
        lambda x: x.bfloat16(),
        lambda x: x.T,
        lambda x: x[:30],
        lambda x: x.expand(2, *x.shape)[0, :1].expand(x.shape),
        lambda x: x.to_sparse(),
        lambda x: nn.Buffer(x).as_subclass(type("Mine", (Tensor,), {})),
    ],
    ids=["float64", "bfloat16", "transposed", "shorter", "expanded", "sparse", "subclass"],
)
def test_a_tensor_that_is_not_as_it_was_is_never_read_by_its_address(changed: Callable[[Tensor], Tensor]) -> None:
    net = nn.Linear(40, 60, bias=False)
    desk = fallline.listen(net, window=8).desk
    reach: Reach = desk._reach(frozenset([0]))[0]
    assert reach.pick is not None
    x, to = torch.randn(60, 40), torch.full((reach.all, 8), 7.0)
    assert not reach.pick([changed(x)], to)
    assert bool((to == 7).all())
    assert reach.pick([x], to)
    assert torch.equal(to, reach._joined([x]))
    assert reach.pick([None], to)
    assert not to.any()


@native
@pytest.mark.parametrize("size", [(40, 60), (300, 20), (2, 2), (1, 9), (130, 257)])
@pytest.mark.parametrize("kind", ["noise", "rank 1", "zeros", "part", "tiny"])
def test_a_shape_says_the_same(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], kind: str) -> None:
    x = torch.randn(size)
    x = torch.outer(x[:, 0], x[0]) if kind == "rank 1" else 1e-15 * x if kind == "tiny" else x
    x = torch.zeros(size) if kind == "zeros" else torch.cat([x, x], 1)[:, 1 : size[1] + 1] if kind == "part" else x
    fast = look.shape(x)
    monkeypatch.setattr(kernel, "page", lambda: None)
    torch.testing.assert_close(fast, look.shape(x), rtol=2e-4, atol=0)
    assert kernel.passes(x, 1e-38, 1e-5) is None
