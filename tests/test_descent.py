"""The engine: one formula however tensors are grouped, in fields as in single tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fallline.core.field import Bundle, as_field, each, inner, peaks, total
from kit import OPTIMIZERS, differences, owned, snapshot, stream, walk, weights

SHAPES = ((40, 9), (3,), (), (2, 3, 4), (700,), (1, 5))


def driven(name: str, dtype: torch.dtype, foreach: bool | None, chunk_bytes: int | None) -> Any:
    """Parameters and state after a fixed stream of gradients."""
    opt = OPTIMIZERS[name]([{"params": weights(SHAPES, dtype), "foreach": foreach}])
    opt.chunk_bytes = chunk_bytes
    walk(opt, stream(owned(opt), 30))
    taken = snapshot(opt)
    return taken["params"], taken["state"]


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_loop_bundle_and_chunks_are_equal_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    loop = driven(name, dtype, foreach=False, chunk_bytes=None)
    assert all(p.isfinite().all() for p in loop[0])
    assert differences(loop, driven(name, dtype, foreach=True, chunk_bytes=None)) == []
    assert differences(loop, driven(name, dtype, foreach=True, chunk_bytes=1600)) == []


def same(a: Any, b: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


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
