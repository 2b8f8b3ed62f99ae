"""Every combine through the laws of combines, and what each says of itself."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from fallline import (
    Anchor,
    Coupled,
    Decoupled,
    FixedNorm,
    FrankWolfe,
    FrobeniusSphere,
    LowRankPair,
    ObliqueSphere,
    Retract,
    SpectralSphere,
    Transport,
    TwoSided,
)
from fallline.core.field import Bundle
from fallline.core.memory import Memory
from laws.combine import LAWS, clock

SHAPES = ((5, 4), (3, 6), (2, 3, 4))
SPHERES = (FrobeniusSphere(), ObliqueSphere(-1), ObliqueSphere(-2), SpectralSphere(200))
COMBINES = (
    Decoupled(),
    Coupled(0.1),
    FrankWolfe(2.0),
    Anchor(),
    Transport(0.5),
    FixedNorm(),
    TwoSided(),
    TwoSided(sides="both"),
    *map(Retract, SPHERES),
)


def matrices(seed: int) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=source, dtype=torch.float64) for shape in SHAPES]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", COMBINES, ids=str)
def test_law(part, law):
    law(part, matrices(0), matrices(1))


def test_zero_moves_of_those_that_pull():
    p = torch.ones(3, dtype=torch.float64)
    FrankWolfe(2.0).enter(p, torch.zeros(3), 0.1, Memory({}), clock(1))
    assert_close(p, torch.full((3,), 0.9, dtype=torch.float64))
    mem = Memory({"w0": torch.zeros(3, dtype=torch.float64)})
    Anchor().enter(p, torch.zeros(3), 0.1, mem, clock(2))
    assert_close(p, torch.full((3,), 0.6, dtype=torch.float64))


@pytest.mark.parametrize("sphere", SPHERES, ids=str)
def test_tangents_do_not_change_the_length(sphere):
    for w, u in zip(matrices(2), matrices(3), strict=True):
        mem = Memory(sphere.memory(w))
        sphere.observe(w, mem)
        d = sphere.tangent(u, w, mem)
        h = 1e-6
        ahead, behind = (
            Retract(sphere).memory(w + s * h * d)["radius"] for s in (1, -1)
        )  # of the spectral one with a power iteration of its own
        assert (ahead - behind).abs().max() / (2 * h) < 1e-4


def test_a_pair_with_nothing_to_do_stays():
    a, b = torch.randn(2, 5, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    pair = Bundle([a.clone(), b.clone()])
    LowRankPair().enter(pair, Bundle([torch.zeros_like(a), torch.zeros_like(b)]), 0.1, Memory({}), clock(1))
    assert_close(list(pair), [a, b])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FrankWolfe(0.0),
        lambda: Transport(1.0),
        lambda: Transport(0.5, Anchor()),
        lambda: TwoSided(1.0),
        lambda: TwoSided(sides="left"),
        lambda: ObliqueSphere(0),
        lambda: SpectralSphere(0),
        lambda: LowRankPair(-1.0),
        lambda: LowRankPair(0.0, -1.0),
    ],
)
def test_numbers_are_checked(wrong):
    with pytest.raises(ValueError):
        wrong()
