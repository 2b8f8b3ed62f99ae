"""Scion: every role in its norm, weights in their balls; and the two problems beside it, of Kovalev and of Leon."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import (
    SVD,
    Constant,
    Conv,
    Decoupled,
    Descent,
    FanIn,
    FanRatio,
    FrankWolfe,
    HeavyBall,
    Identity,
    QuasiHyperbolic,
    Role,
    Rule,
    Scion,
    Sign,
    Spectral,
    VectorRMS,
)
from fallline.combines.pair import _root
from kit import stream, walk

EXACT = FanRatio(Spectral(SVD()))
SHAPES = {"hidden": (5, 3), "head": (6, 4), "embedding": (7, 4), "bias": (3,)}


def weights() -> list[Parameter]:
    source = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(shape, generator=source, dtype=torch.float64)) for shape in SHAPES.values()]


def scion(params: list[Parameter], **how) -> Scion:
    return Scion([{"params": params, "roles": tuple(SHAPES)}], balls={"hidden": (EXACT, 2.0)}, **how)


def alone(rho: float, lr: float = 0.1, **how) -> torch.Tensor:
    """A hidden matrix after Scion's walk in the exact norm."""
    p = weights()[0]
    walk(Scion([p], lr=lr, balls={"hidden": (EXACT, rho)}, roles="by shape", **how), stream([p], 16))
    return p.detach()


def ruled(rule: Rule, lr: float = 0.1) -> torch.Tensor:
    """The same matrix after the walk of a rule."""
    p = weights()[0]
    walk(Descent([p], rule, lr=lr), stream([p], 16))
    return p.detach()


def polar(x: torch.Tensor) -> torch.Tensor:
    u, _, vt = torch.linalg.svd(x, full_matrices=False)
    return u @ vt


@pytest.mark.parametrize("constrained", [True, False])
def test_every_role_moves_by_its_norm(constrained):
    params = weights()
    ws, ms = [p.detach().clone() for p in params], [torch.zeros_like(p.detach()) for p in params]
    lr, now = 1e-3, stream(params, 16)
    balls = (
        (lambda m: (5 / 3) ** 0.5 * polar(m), 2.0),
        (lambda m: m.sign() / 4, 3000.0),
        (lambda m: m / m.norm(dim=1, keepdim=True) * 4**0.5, 500.0),
        (lambda m: m / m.square().mean().sqrt(), 50.0),
    )
    for gs in now:
        for w, m, g, (d, rho) in zip(ws, ms, gs, balls, strict=True):
            m.mul_(0.9).add_(g, alpha=0.1)
            w.mul_(1 - lr if constrained else 1.0).sub_(lr * rho * d(m))
    walk(scion(params, lr=lr, constrained=constrained), now)
    assert_close([p.detach() for p in params], ws, rtol=1e-10, atol=1e-10)


def test_weights_stay_in_their_balls():
    """T-a.10: a convex combination of what was in a ball is in the ball."""
    params = weights()
    opt = scion(params, lr=0.3)
    first = (3 / 5) ** 0.5 * torch.linalg.matrix_norm(params[0].detach(), 2)
    radii = [max(float(first), 2.0), 3000.0, 500.0, 50.0]
    for now in stream(params, 20):
        walk(opt, [now])
        w, head, tokens, bias = (p.detach() for p in params)
        lengths = [(3 / 5) ** 0.5 * torch.linalg.matrix_norm(w, 2), 4 * head.abs().max()]
        lengths += [tokens.square().mean(1).sqrt().max(), bias.square().mean().sqrt()]
        assert all(x <= rho * (1 + 1e-12) for x, rho in zip(lengths, radii, strict=True))


def test_unconstrained_it_is_muon_with_the_operator_norm():
    """T-a.11."""
    muon = Rule(QuasiHyperbolic(0.9, 1.0), EXACT, Constant(), Decoupled())
    assert_close(alone(1.0, constrained=False), ruled(muon), rtol=1e-14, atol=1e-14)


def test_a_heavy_ball_has_the_direction_of_an_average():
    """T-a.12: ScionLight keeps the average in the gradient's own memory, unscaled; the norm does not notice."""
    light = Rule(HeavyBall(0.9), EXACT, Constant(), FrankWolfe(2.0))
    assert_close(alone(2.0), ruled(light), rtol=1e-12, atol=1e-12)


def test_staying_in_a_ball_is_decay():
    """T-a.13: Frank-Wolfe of radius rho is lr rho with decoupled decay 1 / rho."""
    added = Rule(QuasiHyperbolic(0.9, 1.0), EXACT, Constant(), Decoupled(1 / 5.0))
    assert_close(alone(5.0), ruled(added, lr=0.1 * 5.0), rtol=1e-12, atol=1e-12)


def test_a_ball_as_constraint_clips_and_frank_wolfe_averages():
    """T-b.3: argmin <m, x> over |x - x_k| <= lr rho and |x| <= rho clips; both stay in the ball and end in a corner."""
    p, rho, lr = weights()[0], 2.0, 0.2
    p.data.clamp_(-rho, rho)
    g, clipped = torch.randn(5, 3, dtype=torch.float64), p.detach().clone()
    opt = Descent([p], Rule(Identity(), Sign(), Constant(), FrankWolfe(rho)), lr=lr)
    for _ in range(150):
        walk(opt, [[g]])
        clipped = (clipped - lr * rho * g.sign()).clamp(-rho, rho)
        assert p.detach().abs().max() <= rho * (1 + 1e-12)
    assert_close(p.detach(), clipped)


def test_it_knows_the_kinds_of_roles():
    p = weights()[0]
    with pytest.raises(ValueError, match="no role is"):
        Scion([p], balls={"layer": (VectorRMS(), 1.0)}, roles="by shape")
    opt = Scion([{"params": [p], "roles": "attention groups=5"}])
    assert opt.speak(opt.param_groups[0], Role("head")).metric == FanIn(Sign(), -1.0)
    assert opt.speak(opt.param_groups[0], Role("attention")).combine == FrankWolfe(50.0)


def test_a_potential_gives_steps_in_a_ball():
    """Leon, which has no part here: -eta (M M^T + S)^(-1/2) M.

    T-u.1: -eta polar(M) for S = 0. T-u.2: on diagonals -eta M / sqrt(M^2 + S). T-u.3: never longer than eta.
    """
    m, s = weights()[0].detach(), torch.rand(5, generator=torch.Generator().manual_seed(0)).double()
    diagonal = m[:, 0].diag()
    assert_close(_root(m.mT @ m, 0.0) @ m.mT, polar(m.mT))
    ftrl = m[:, 0] / (m[:, 0] ** 2 + s).sqrt()
    assert_close((_root(diagonal @ diagonal.mT + s.diag(), 0.0) @ diagonal).diag(), ftrl)
    assert torch.linalg.matrix_norm(2.0 * _root(m @ m.mT + s.diag(), 0.0) @ m, 2) <= 2.0


def test_a_convolution_knows_its_kernel():
    """sqrt(out / in) / K for K places, of each group's own matrix."""
    p = Parameter(torch.randn(4, 3, 2, 2, dtype=torch.float64))
    before, g = p.detach().clone(), torch.randn(4, 3, 2, 2, dtype=torch.float64)
    balls = {"conv": (Conv(Spectral(SVD())), 2.0)}
    walk(Scion([{"params": [p], "roles": "conv groups=2"}], lr=0.1, constrained=False, balls=balls), [[g]])
    for half in (slice(0, 2), slice(2, 4)):
        wanted = 0.1 * 2.0 * polar(g[half].reshape(2, 12)) * (2 / 3) ** 0.5 / 4
        assert_close((before - p.detach())[half].reshape(2, 12), wanted)
