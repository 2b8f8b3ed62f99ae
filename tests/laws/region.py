"""Laws of trust regions: the theorem "support = conjugate of the indicator = gauge of the polar", piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.theory import Region, pairing

RTOL = 1e-7  # an intersection is solved up to 1e-8


def moments(n: int, seed: int = 0) -> dict[str, Tensor]:
    """Second moments S = U diag(s) U^T with random U, by what is stated of their eigenvalues s."""
    spectra = {
        "apart": torch.arange(n, 0, -1.0),
        "repeated": torch.cat([torch.full((n - 1,), 2.0), torch.ones(1)]),
        "of deficient rank": torch.arange(n, 0, -1.0) * (torch.arange(n) < n - 1),
        "of rank one": torch.eye(1, n)[0],
        "tiny": 1e-8 * torch.arange(n, 0, -1.0),
        "huge": 1e8 * torch.arange(n, 0, -1.0),
        "ill": 10.0 ** -torch.linspace(0, 5, n),
    }
    return {name: turn(s.double(), seed + i) for i, (name, s) in enumerate(spectra.items())}


def turn(s: Tensor, seed: int) -> Tensor:
    """U diag(s) U^T with U drawn at random."""
    U = orthogonal(len(s), seed)
    return (U * s) @ U.mT


def orthogonal(n: int, seed: int) -> Tensor:
    """A random orthogonal matrix."""
    source = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, n, generator=source, dtype=torch.float64))[0]


@cache
def members(region: Region, n: int, count: int = 5) -> list[Tensor]:
    """Members of the far boundary: optima for random moments, and mixtures of them, stretched to gauge 1."""
    some = [region.optimum(turn(torch.rand(n, dtype=torch.float64) ** 4, seed)) for seed in range(count)]
    found = [Q / region.gauge(Q) for Q in some if Q.any() and region.gauge(Q).isfinite()]
    mixed = [(a + b) / 2 for a, b in pairwise(found) if region.gauge((a + b) / 2).isfinite()]
    return found + [Q / region.gauge(Q) for Q in mixed]


def the_optimum_is_in_the_region(region: Region, S: Tensor) -> None:
    """Q* is PSD, in K, and on its far boundary unless S is 0."""
    Q = region.optimum(S)
    assert region.contains(Q)
    assert (Q - Q.mT).abs().amax() <= 1e-12 * Q.abs().amax()
    assert torch.linalg.eigvalsh((Q + Q.mT) / 2)[0] >= -1e-9 * Q.norm()
    assert_close(region.gauge(Q), torch.ones((), dtype=torch.float64), rtol=RTOL, atol=0)


def the_optimum_attains_the_support(region: Region, S: Tensor) -> None:
    """tr(Q* S) = support(S)."""
    assert_close(region.power(S), region.support(S), rtol=RTOL, atol=0)


def the_support_is_the_gauge_of_the_polar(region: Region, S: Tensor) -> None:
    """The best that is found equals the least bound that can be proved: strong duality."""
    assert_close(region.support(S), region.polar_gauge(S), rtol=RTOL, atol=0)


def no_member_earns_more(region: Region, S: Tensor) -> None:
    """support is the conjugate of the indicator: tr(Q S) <= gauge(Q) support(S), for all Q."""
    most = region.support(S) * (1 + RTOL)
    for Q in members(region, len(S)):
        assert pairing(Q, S) <= most and pairing(3 * Q, S) <= region.gauge(3 * Q) * most


def it_is_a_subgradient(region: Region, S: Tensor) -> None:
    """support(S') >= support(S) + tr(Q*(S) (S' - S)) for every S'."""
    Q, h = region.optimum(S), region.support(S)
    for seed in range(4):
        other = turn(torch.rand(len(S), dtype=torch.float64) ** 3, seed) * S.norm()
        assert region.support(other) >= h + pairing(Q, other - S) - RTOL * (h + region.support(other))


def the_unit_of_the_gradient_does_not_matter(region: Region, S: Tensor) -> None:
    """support(c S) = c support(S) and Q*(c S) = Q*(S) for c > 0; nothing is earned where there is nothing."""
    for c in (1e-8, 1e8):
        assert_close(region.support(c * S), c * region.support(S), rtol=RTOL, atol=0)
        near(region.optimum(c * S), region.optimum(S))
    assert not region.support(0 * S) and not region.polar_gauge(0 * S) and not region.optimum(0 * S).any()


def it_is_sublinear(region: Region, S: Tensor) -> None:
    """support(S + S') <= support(S) + support(S'), and no less than either: one optimizer serves two tasks worse."""
    other = turn(torch.rand(len(S), dtype=torch.float64), 5) * S.norm()
    a, b, both = region.support(S), region.support(other), region.support(S + other)
    assert torch.maximum(a, b) * (1 - RTOL) <= both <= (a + b) * (1 + RTOL)


def a_gauge_is_a_gauge(region: Region, S: Tensor) -> None:
    """gauge(t Q) = t gauge(Q); inf for an operator that is not PSD; 0 for 0."""
    Q = region.optimum(S)
    assert_close(region.gauge(0.25 * Q), 0.25 * region.gauge(Q), rtol=RTOL, atol=0)
    assert region.gauge(-Q).isinf() and not region.gauge(0 * Q)
    assert region.contains(0.99 * Q) and not region.contains(1.01 * Q)


def near(a: Tensor, b: Tensor, tol: float = 1e-5) -> None:
    """Close as matrices."""
    assert (a - b).norm() <= tol * b.norm(), f"{a} is not {b}"


def turns_with(region: Callable[[Tensor], Region], S: Tensor, U: Tensor) -> None:
    """Q*(U S U^T) = U Q*(S) U^T for the regions of S and of U S U^T."""
    near(region(U @ S @ U.mT).optimum(U @ S @ U.mT), U @ region(S).optimum(S) @ U.mT, 1e-6)


LAWS = (
    the_optimum_is_in_the_region,
    the_optimum_attains_the_support,
    the_support_is_the_gauge_of_the_polar,
    no_member_earns_more,
    it_is_a_subgradient,
    the_unit_of_the_gradient_does_not_matter,
    it_is_sublinear,
    a_gauge_is_a_gauge,
)
