"""Stability of stateless choices: the bounds are never broken, and how loose they are is printed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.theory import (
    Data,
    Diagonal,
    Frobenius,
    Product,
    Region,
    Spectral,
    radius,
    regret,
    regret_bound,
    shift_bound,
    spread_bound,
)
from laws import region as laws

N = 4
FULL = laws.turn(torch.tensor([3.0, 1.0, 0.5, 0.1]).double(), 9)
REGIONS: dict[str, Region] = {
    "Frobenius": Frobenius(2.5),
    "Spectral": Spectral(1.0, 2.5),
    "Data": Data(FULL),
    "Diagonal": Diagonal(torch.tensor([0.1, 1.0, 2.0, 30.0]).double()),
    "layers": Product((Frobenius(2.0), Spectral(1.0, 1.5)), (1, 3)),
}


def estimated(S: Tensor, samples: int, source: torch.Generator) -> Tensor:
    """The second moment of a few gradients drawn from N(0, S)."""
    g = torch.randn(samples, len(S), generator=source, dtype=torch.float64) @ torch.linalg.cholesky(S).mT
    return g.mT @ g / samples


@pytest.mark.parametrize("name", REGIONS)
def test_no_bound_is_broken(name: str) -> None:
    region, source = REGIONS[name], torch.Generator().manual_seed(0)
    used = []
    for samples in (1, 4, 16, 64, 256) * 6:
        seen = estimated(FULL, samples, source)
        moved, lost = (region.support(FULL) - region.support(seen)).abs(), regret(region, FULL, seen)
        bounds = [f(region, FULL, seen) for f in (shift_bound, spread_bound, regret_bound)]
        assert moved <= bounds[0] and -1e-9 <= lost <= bounds[1] * (1 + 1e-9) <= bounds[2] * (1 + 2e-9)
        used.append(torch.stack([moved / bounds[0], lost / bounds[1], lost / bounds[2]]))
    shift, spread, twice = torch.stack(used).amax(0).tolist()
    print(f"{name}: at most {shift:.2f} of the shift bound, {spread:.2f} and {twice:.2f} of the regret bounds was used")


@pytest.mark.parametrize("name", REGIONS)
def test_the_shift_bound_is_attained(name: str) -> None:
    """S' = S + t I with S ~ I moves the support by all that is allowed."""
    S = torch.eye(N).double()
    assert_close(shift_bound(REGIONS[name], S, 1.7 * S), REGIONS[name].support(1.7 * S) - REGIONS[name].support(S))


def test_the_spread_bound_is_attained() -> None:
    """Two directions that change places: all of the budget sits on the wrong one."""
    S, seen = (torch.diag(torch.tensor(s, dtype=torch.float64)) for s in ([1.0, 0.999], [0.0, 1.999]))
    one = Spectral(1.0, 1.0)
    assert regret(one, S, seen) <= spread_bound(one, S, seen)
    flat, wrong = (torch.diag(torch.tensor(s, dtype=torch.float64)) for s in ([2.0, 0.0], [1.0, 1.0 + 1e-9]))
    assert_close(regret(one, flat, wrong), regret_bound(one, flat, wrong), rtol=1e-6, atol=0)


def test_a_radius_is_the_largest_trace() -> None:
    for region in REGIONS.values():
        most = max(float(Q.trace()) for Q in laws.members(region, N))
        assert most <= float(radius(region, N)) * (1 + 1e-9)
        assert_close(region.optimum(torch.eye(N).double()).trace(), radius(region, N))
