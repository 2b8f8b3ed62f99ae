"""Laws of maps: each matrix for itself, zeros stay zeros, and scale, signs and order pass through as stated."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.core.field import Bundle
from fallline.core.memory import Memory
from fallline.core.part import Map

T = torch.tensor(3.0, dtype=torch.float64)


def mapped(part: Map, *xs: Tensor) -> Tensor:
    """What a map with fresh memory makes of the last of these, after it met the others."""
    mem = Memory(part.memory(xs[0]))
    for x in xs:
        part.observe(x, mem, T)
        y = part(x, mem, T)
    return y


def a_bundle_is_a_loop(part: Map, x: Tensor) -> None:
    """Tensors of different shapes that walk together are transformed as each alone."""
    xs = [x, x[..., :2, :].contiguous() * 3, x.mT.contiguous()]
    memories = [part.memory(one) for one in xs]
    mem = Memory({name: Bundle(one[name] for one in memories) for name in memories[0]})
    part.observe(Bundle(xs), mem, T)
    together = part(Bundle(xs), mem, T)
    assert all(torch.equal(a, mapped(part, b)) for a, b in zip(together, xs, strict=True))


def a_stack_is_each_of_its_matrices(part: Map, x: Tensor) -> None:
    """Matrices that are piled up do not see each other."""
    stack = torch.stack([x, x.flip(0) * 0.1, torch.zeros_like(x)])
    assert_close(mapped(part, stack, stack * 2), torch.stack([mapped(part, one, one * 2) for one in stack]))


def zeros_stay_zeros(part: Map, x: Tensor) -> None:
    """No NaN from a matrix, a row or a column of zeros."""
    assert not mapped(part, torch.zeros_like(x)).any()
    holes = x.clone()
    holes[0], holes[:, 1] = 0.0, 0.0
    y = mapped(part, holes)
    assert y.isfinite().all() and not y[0].any() and not y[:, 1].any()


def signs_pass_through(part: Map, x: Tensor) -> None:
    """f(-u) = -f(u)."""
    assert torch.equal(mapped(part, -x), -mapped(part, x))


def order_passes_through(part: Map, x: Tensor) -> None:
    """Rows and columns in another order come out in that order."""
    rows, columns = torch.randperm(x.shape[0]), torch.randperm(x.shape[1])
    assert_close(mapped(part, x[rows][:, columns], x[rows][:, columns]), mapped(part, x, x)[rows][:, columns])


def scale_passes_through_as_stated(part: Map, x: Tensor, degree: float) -> None:
    """f(c u) = c^degree f(u)."""
    for c in (1e-3, 1e3):
        assert_close(mapped(part, c * x), c**degree * mapped(part, x))


LAWS = (
    a_bundle_is_a_loop,
    a_stack_is_each_of_its_matrices,
    zeros_stay_zeros,
    signs_pass_through,
    order_passes_through,
)
