"""Every combine through the laws of combines, and what each says of itself."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from fallline import (
    EMA,
    Anchor,
    Constant,
    Coupled,
    Decoupled,
    Descent,
    FixedNorm,
    FrankWolfe,
    FrobeniusSphere,
    Inertia,
    LowRankPair,
    ObliqueSphere,
    Proximal,
    Retract,
    Rule,
    Sign,
    SolvedSphere,
    SpectralSphere,
    Steady,
    Stiefel,
    Transport,
    TwoSided,
)
from fallline.core.field import Bundle
from fallline.core.memory import Memory
from kit import stream, walk
from laws.combine import LAWS, clock

SHAPES = ((5, 4), (3, 6), (2, 3, 4))
SPHERES = (FrobeniusSphere(), ObliqueSphere(-1), ObliqueSphere(-2), SpectralSphere(200))
COMBINES = (
    Decoupled(),
    Steady(),
    Proximal(),
    Inertia(0.9),
    Coupled(0.1),
    FrankWolfe(2.0),
    Anchor(),
    Transport(0.5),
    FixedNorm(),
    TwoSided(),
    TwoSided(sides="both"),
    *map(Retract, (*SPHERES, SolvedSphere(200))),
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
        lambda: SolvedSphere(0),
        lambda: SolvedSphere(4, 0),
        lambda: LowRankPair(-1.0),
        lambda: LowRankPair(0.0, -1.0),
    ],
)
def test_numbers_are_checked(wrong):
    with pytest.raises(ValueError):
        wrong()


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 5, 3)])
def test_stiefel_tangents_and_retractions(shape):
    """T-r.2 and T-r.4: W^T D + D^T W = 0, and W^T W = I after a step and after a step of nothing."""
    source = torch.Generator().manual_seed(0)
    w, g = (torch.randn(shape, generator=source, dtype=torch.float64) for _ in range(2))
    part, eye = Stiefel(), torch.eye(min(shape[-2:]), dtype=torch.float64)

    def inside(a, b):
        return a.mT @ b if shape[-2] >= shape[-1] else a @ b.mT

    part.enter(w, torch.zeros_like(w), 0.1, Memory({}), clock(1))
    d, there = part.tangent(g, w, Memory({}), clock(1)), w.clone()
    assert_close(inside(w, d) + inside(d, w), torch.zeros_like(inside(w, d)))
    part.enter(w, torch.zeros_like(w), 0.1, Memory({}), clock(1))
    assert_close(w, there)
    part.enter(w, d.mul(-0.1), 0.1, Memory({}), clock(1))
    assert_close(inside(w, w), eye.expand_as(inside(w, w)))
    assert ((w - there) * g).sum() < 0


def test_the_polar_factor_of_a_solved_tangent_is_tangent():
    """T-t.2: <u v^T, D> = 0; that of a projected one is not."""
    for w, m in zip(matrices(2), matrices(3), strict=True):
        u, _, vt = torch.linalg.svd(w, full_matrices=False)
        first = u[..., :1] @ vt[..., :1, :]
        off = []
        for sphere in (SolvedSphere(300, 60), SpectralSphere(300)):
            a, _, bt = torch.linalg.svd(sphere.tangent(m, w, Memory(sphere.memory(w))), full_matrices=False)
            off.append((first * (a @ bt)).sum((-2, -1)).abs().max())
        assert off[0] < 1e-8 < off[1]


@pytest.mark.parametrize("end", [Anchor(), FrankWolfe(2.0), Transport(0.9)], ids=str)
def test_elementwise_ones_walk_in_kernels_as_they_are_written(end):
    ends = []
    for foreach in (True, None):
        params = [torch.nn.Parameter(x.float()) for x in matrices(4)]
        rule = Rule(EMA(0.9), Sign(), Constant(), end)
        opt = Descent([{"params": params, "foreach": foreach}], rule, lr=0.01)
        walk(opt, stream(params, 9))
        ends.append([p.detach() for p in params])
    assert_close(*ends, rtol=1e-5, atol=1e-6)
