"""Optimizers whose direction enters the weights in a way of its own: loops from the equations, and what must hold."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import (
    LMOIGT,
    SGD,
    SVD,
    AdamW,
    Constant,
    Decoupled,
    Descent,
    Euclid,
    Hyperball,
    Identity,
    IntrinsicMuon,
    Lion,
    Macro,
    Muon,
    Pion,
    Retract,
    Rule,
    Soda,
    Spectral,
    SpectralSphere,
    Spel,
)
from kit import differences, owned, snapshot, stream, walk

SHAPE = (5, 3)
STEPS = 16


def matrix(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Parameter:
    source = torch.Generator().manual_seed(seed)
    return Parameter(torch.randn(shape, generator=source, dtype=torch.float64))


def polar(x: torch.Tensor) -> torch.Tensor:
    u, _, vt = torch.linalg.svd(x, full_matrices=False)
    return u @ vt


def run(opt: torch.optim.Optimizer, p: Parameter, steps: int = STEPS) -> torch.Tensor:
    walk(opt, stream([p], steps))
    return p.detach()


def gradients(p: Parameter, steps: int = STEPS) -> list[torch.Tensor]:
    return [now[0] for now in stream([p], steps)]


def adam(g, m, v, t, beta1=0.9, beta2=0.999, eps=1e-8):
    m.mul_(beta1).add_(g, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    return (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + eps)


# --- anchored -----------------------------------------------------------------------------------------------------


def test_soda_is_adamw_drawn_back_to_its_start():
    p = matrix()
    w, m, v = p.detach().clone(), torch.zeros(SHAPE).double(), torch.zeros(SHAPE).double()
    start = w.clone()
    for t, g in enumerate(gradients(p), start=1):
        w = w - 0.01 * adam(g, m, v, t) + (start - w) / (t + 1)
    assert_close(run(Soda(AdamW([p], lr=0.01)), p), w, rtol=1e-12, atol=1e-12)


def test_soda_has_a_closed_form_in_which_older_steps_count_less():
    """T-s.1: W_K = W_0 + sum_k (k + 2) / (K + 1) u_k, k from 0."""
    p, k = matrix(), 10
    start, us = p.detach().clone(), [-0.1 * g for g in gradients(p, k)]
    wanted = start + sum((i + 2) / (k + 1) * u for i, u in enumerate(us))
    assert_close(run(Soda(SGD([p], lr=0.1)), p, k), wanted, rtol=1e-12, atol=1e-12)


def test_soda_without_steps_stays_and_with_equal_ones_grows_by_half():
    """T-s.2, and T-s.3: W_K - W_0 = u (K + 3) / 2 K / (K + 1)."""
    p, k = matrix(), 7
    start, opt = p.detach().clone(), Soda(SGD([p], lr=0.1))
    walk(opt, [[torch.zeros_like(p)]] * 3)
    assert torch.equal(p, start)
    p = matrix()
    walk(Soda(SGD([p], lr=0.1)), [[torch.ones_like(p)]] * k)
    assert_close(p - start, torch.full_like(p, -0.1 * (k + 3) / 2 * k / (k + 1)))


def test_soda_takes_what_adds_and_refuses_what_does_not():
    p = matrix()
    assert "Anchor" in repr(Soda(Muon([p], roles="by shape"))) and "Anchor" in repr(Soda(Lion([p])))
    with pytest.raises(TypeError, match="adds its steps"):
        Soda(Pion([p], roles="by shape"))
    with pytest.raises(TypeError, match="wraps an optimizer"):
        Soda(torch.optim.SGD([p], lr=0.1))


def test_a_wrapped_optimizer_keeps_groups_names_and_what_is_chosen():
    named = [("a", matrix(0)), ("b", matrix(1))]
    base = AdamW([{"params": [named[0]], "lr": 0.1}, {"params": [named[1]], "betas": ("auto", 0.99)}], lr=0.01)
    opt = Soda(base)
    assert [group["param_names"] for group in opt.param_groups] == [["a"], ["b"]]
    assert [group["lr"] for group in opt.param_groups] == [0.1, 0.01]
    walk(opt, stream(owned(opt), 5))
    assert opt.report()["groups"][1]["candidates"]
    opt.add_param_group({"params": [("c", matrix(2))], "betas": ((0.5, 0.9), 0.99)})
    walk(opt, stream(owned(opt), 2))
    assert opt.param_groups[2]["candidates"] == (0.5, 0.9)


# --- on spheres ---------------------------------------------------------------------------------------------------


def test_hyperball_is_a_relative_step_and_back():
    p = matrix()
    w, m, v = p.detach().clone(), torch.zeros(SHAPE).double(), torch.zeros(SHAPE).double()
    r = w.norm()
    for t, g in enumerate(gradients(p), start=1):
        u = adam(g, m, v, t)
        w = w - 0.05 * r * u / u.norm()
        w = r * w / w.norm()
    assert_close(run(Hyperball(AdamW([p], lr=0.05)), p), w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("base", [AdamW, SGD, Lion])
def test_hyperball_keeps_the_norm_and_lr_is_the_relative_step(base):
    """T-t.1 and T-t.3; vectors walk as in the base."""
    p, b = matrix(), matrix(1, (4,))
    alone = Parameter(b.detach().clone())
    r, opt = p.detach().norm(), Hyperball(base([p, b], lr=1e-3))
    for g, h in stream([p, b], 5):
        before = p.detach().clone()
        walk(opt, [[g, h]])
        assert_close(p.detach().norm(), r)
        assert 0.5e-3 < (p - before).norm() / r < 1.001e-3
    walk(base([alone], lr=1e-3), [[h] for _, h in stream([p, b], 5)])
    assert_close(b.detach(), alone.detach())


def test_hyperball_holds_the_matrices_of_muon_and_no_embedding():
    p, e = matrix(), matrix(1)
    lengths = [p.detach().norm(), e.detach().norm()]
    opt = Hyperball(Muon([{"params": [p, e], "roles": ("hidden", "embedding")}], lr=0.1))
    walk(opt, stream([p, e], 3))
    assert_close(p.detach().norm(), lengths[0])
    assert abs(e.detach().norm() - lengths[1]) > 1e-3


def tangents(sphere, m, w):
    if sphere == "frobenius":
        return m - (m * w).sum() / (w * w).sum() * w
    if sphere == "spectral":
        u, _, vt = torch.linalg.svd(w)
        first = u[:, :1] @ vt[:1]
        return m - (m * first).sum() * first
    return m - (m * w).sum(1, keepdim=True) / (w * w).sum(1, keepdim=True) * w


def lengths(sphere, w):
    one = {"frobenius": w.norm(), "spectral": torch.linalg.matrix_norm(w, 2)}
    return one[sphere] if sphere in one else w.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("sphere", ["frobenius", "spectral", "rows"])
def test_macro_is_muon_along_a_sphere(sphere):
    """T-t.1 as well: the length after every step is the first one."""
    p = matrix()
    w, m = p.detach().clone(), torch.zeros(SHAPE).double()
    r = lengths(sphere, w)
    for g in gradients(p):
        m = 0.9 * m + 0.1 * g
        d = polar(tangents(sphere, m, w))
        w = w - 0.05 * (r * d if sphere == "spectral" else r.norm() * d / d.norm())
        w = w * r / lengths(sphere, w)
    how = SpectralSphere(300) if sphere == "spectral" else sphere
    opt = Macro([p], lr=0.05, momentum=0.9, sphere=how, polar=SVD(), roles="by shape")
    assert_close(run(opt, p), w, rtol=1e-9, atol=1e-9)
    assert_close(lengths(sphere, p.detach()), r)


def test_spel_is_muon_among_orthonormal_columns():
    p = matrix()
    w, m = p.detach().clone(), torch.zeros(SHAPE).double()
    for g in gradients(p):
        m = 0.9 * m + 0.1 * g
        inside = w.mT @ m
        w = polar(w - 0.05 * polar(m - w @ (inside + inside.mT) / 2))
    assert_close(run(Spel([p], lr=0.05, momentum=0.9, polar=SVD(), roles="by shape"), p), w, rtol=1e-10, atol=1e-10)
    assert_close(p.mT @ p, torch.eye(3, dtype=torch.float64))


def test_a_few_power_iterations_keep_the_largest_singular_value_nearly():
    p = matrix(shape=(12, 20))
    r = torch.linalg.matrix_norm(p.detach(), 2)
    run(Macro([p], lr=0.02, sphere="spectral", roles="by shape"), p, 30)
    assert_close(torch.linalg.matrix_norm(p.detach(), 2), r, rtol=0.02, atol=0.0)


def test_a_large_sphere_is_flat():
    """T-t.4: where the direction is tangent, the step differs from the additive one in second order."""

    def off(lr):
        p = matrix()
        w, g = p.detach().clone(), gradients(p)[0]
        walk(Descent([p], Rule(Identity(), Euclid(), Constant(), Retract()), lr=lr), [[g]])
        d = tangents("frobenius", g, w)
        return (p.detach() - (w - lr * w.norm() * d / d.norm())).norm()

    assert 3.8 < off(2e-3) / off(1e-3) < 4.2


def test_zeros_have_no_sphere():
    p = Parameter(torch.zeros(3, 2))
    for build in (Macro, Pion):
        with pytest.raises(ValueError, match="all zero"):
            build([p], roles="by shape")
    with pytest.raises(ValueError, match="all zero"):
        Hyperball(AdamW([p]))


# --- turned from two sides ----------------------------------------------------------------------------------------


def skews(g, w):
    return g @ w.mT - w @ g.mT, w.mT @ g - g.mT @ w


def expansion(x):
    return torch.eye(len(x), dtype=x.dtype) + x + x @ x / 2


@pytest.mark.parametrize("sides", ["alternating", "both"])
def test_pion_is_adam_on_rotations(sides):
    p, lr, eps = matrix(), 0.01, 1e-8
    w = p.detach().clone()
    ms = [torch.zeros(k, k).double() for k in SHAPE]
    vs = [torch.zeros(k, k).double() for k in SHAPE]
    size = (w.numel()) ** 0.5
    for k, g in enumerate(gradients(p)):
        for m, v, x in zip(ms, vs, skews(g, w), strict=True):
            m.mul_(0.9).add_(x, alpha=0.1)
            v.mul_(0.999).addcmul_(x, x, value=0.001)
        left, right = (-m / (v.sqrt() + eps) for m, v in zip(ms, vs, strict=True))
        if sides == "both":
            alpha = size / (left @ w + w @ right).norm()
            w = expansion(lr * alpha * left) @ w @ expansion(lr * alpha * right)
        elif k % 2 == 0:
            w = expansion(lr * size / (left @ w).norm() * left) @ w
        else:
            w = w @ expansion(lr * size / (w @ right).norm() * right)
    opt = Pion([p], lr=lr, sides=sides, roles="by shape")
    assert_close(run(opt, p), w, rtol=1e-10, atol=1e-10)


def test_pion_turns_by_skew_matrices():
    """T-o.1: the averages, and what Adam makes of them, stay skew."""
    p = matrix()
    opt = Pion([p], lr=0.01, roles="by shape")
    run(opt, p)
    for side in ("out", "in"):
        m, v = opt.state[p][f"combine.m_{side}"], opt.state[p][f"combine.v_{side}"]
        assert_close(m, -m.mT)
        assert_close(v, v.mT)


def spectrum_drift(lr, exact=False):
    p = matrix(shape=(6, 6))
    before = torch.linalg.svdvals(p.detach())
    opt = Pion([p], lr=lr, sides="both", roles="by shape")
    walk(opt, stream([p], 1))
    return (torch.linalg.svdvals(p.detach()) - before).abs().max()


def test_pion_keeps_the_singular_values_to_fourth_order():
    """T-o.2: E(X)^T E(X) = I + X^4 / 4 for skew X, so that half a step drifts a sixteenth."""
    x = matrix(3, (4, 4)).detach()
    x = x - x.mT
    assert_close(expansion(x).mT @ expansion(x), torch.eye(4).double() + torch.linalg.matrix_power(x, 4) / 4)
    assert 14 < spectrum_drift(0.1) / spectrum_drift(0.05) < 18


def test_two_sided_steps_go_down_and_exact_ones_keep_the_spectrum():
    """T-o.3 and T-o.4: without averages <G, A_out W + W A_in> = -(norm(G_in)^2 + norm(G_out)^2) / 2."""
    w, g = matrix().detach(), gradients(matrix())[0]
    out, into = skews(g, w)
    down = -(out @ w + w @ into)
    assert_close((g * down).sum(), -(out.square().sum() + into.square().sum()) / 2)
    turned = torch.linalg.matrix_exp(-0.1 * out) @ w @ torch.linalg.matrix_exp(-0.1 * into)
    assert_close(torch.linalg.svdvals(turned), torch.linalg.svdvals(w), rtol=1e-13, atol=1e-13)


# --- gradients ahead ----------------------------------------------------------------------------------------------


def test_lmo_igt_takes_gradients_ahead():
    p, a, lr, b = matrix(), matrix(5, (5, 5)).detach(), 0.02, 0.9
    a = a @ a.mT
    x, old, m = p.detach().clone(), p.detach().clone(), None
    opt = LMOIGT([p], lr=lr, momentum=b, metric=Spectral(SVD()), roles="by shape")
    for _ in range(STEPS):
        y = x + b / (1 - b) * (x - old)
        assert_close(p.detach(), y, rtol=1e-10, atol=1e-10)
        p.grad = a @ p.detach()
        opt.step()
        m = a @ y if m is None else b * m + (1 - b) * (a @ y)
        x, old = x - lr * polar(m), x
    opt.eval()
    assert_close(p.detach(), x, rtol=1e-10, atol=1e-10)


def test_transported_averages_are_the_gradient_where_it_is_linear():
    """T-x.1: on a quadratic m_t = grad f(x_t), with a polar step and with decay."""
    p, a = matrix(), matrix(5, (5, 5)).detach()
    a = a @ a.mT
    opt = LMOIGT([p], lr=0.02, momentum=0.9, weight_decay=0.1, metric=Spectral(SVD()), roles="by shape")
    for _ in range(50):
        opt.eval()
        x = p.detach().clone()
        opt.train()
        p.grad = a @ p.detach()
        opt.step()
        assert_close(opt.state[p]["filter.b"], a @ x, rtol=1e-11, atol=1e-11)


def test_without_momentum_nothing_is_transported():
    """T-x.2."""
    p, q = matrix(), matrix()
    metric = Spectral(SVD())
    a = LMOIGT([p], lr=0.1, momentum=0.0, metric=metric, roles="by shape")
    b = Descent([q], Rule(Identity(), metric, Constant(), Decoupled()), lr=0.1)
    assert_close(run(a, p), run(b, q), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_eval_lays_the_trained_weights_down_and_train_brings_the_others_back(dtype):
    p, v = Parameter(matrix().detach().to(dtype)), Parameter(torch.ones(3, dtype=dtype))
    opt = LMOIGT([p, v], lr=0.1, roles="by shape")
    walk(opt, stream([p, v], 3))
    live = snapshot(opt)
    opt.eval()
    opt.eval()
    assert_close(p.detach(), opt.state[p]["combine.x"].to(dtype))
    assert not torch.equal(p, live["params"][0]) and torch.equal(v, live["params"][1])
    for forbidden in (
        opt.step,
        opt.__getstate__,
    ):
        with pytest.raises(RuntimeError, match=r"opt.train\(\)"):
            forbidden()
    opt.train()
    opt.train()
    assert not differences(live, snapshot(opt))
    opt.step()


def test_eval_does_nothing_for_weights_that_lie_where_they_are_trained():
    p = matrix()
    opt = AdamW([p], lr=0.1)
    run(opt, p, 2)
    before = snapshot(opt)
    opt.eval()
    opt.step()
    opt.state_dict()
    opt.train()
    assert differences(before["params"], snapshot(opt)["params"])


def test_eval_before_the_first_step_changes_nothing():
    p = matrix()
    before, opt = p.detach().clone(), LMOIGT([p], roles="by shape")
    opt.eval()
    opt.train()
    assert torch.equal(p, before)


# --- pairs --------------------------------------------------------------------------------------------------------


def factors(seed: int = 0, r: int = 2, dtype: torch.dtype = torch.float64) -> list[Parameter]:
    a, b = matrix(seed, (r, 6)), matrix(seed + 1, (5, r))
    return [Parameter(a.detach().to(dtype)), Parameter(b.detach().to(dtype))]


def pairs(*params: list[Parameter], **how) -> IntrinsicMuon:
    words = [word for i in range(len(params)) for word in (f"lora_a pair={i}", f"lora_b pair={i}")]
    group = {"params": [p for pair in params for p in pair], "roles": tuple(words)}
    return IntrinsicMuon([group], polar=SVD(), **how)


def inverse_root(x):
    s, q = torch.linalg.eigh(x)
    return q @ torch.diag(s**-0.5) @ q.mT


def test_intrinsic_muon_whitens_by_the_partner_twice():
    a, b = factors()
    lr, eps, decay = 0.05, 1e-6, 0.1
    wa, wb, eye = a.detach().clone(), b.detach().clone(), eps * torch.eye(2).double()
    ma, mb = torch.zeros_like(wa), torch.zeros_like(wb)
    now = stream([a, b], STEPS)
    for ga, gb in now:
        ma, mb = 0.5 * ma + 0.5 * ga, 0.5 * mb + 0.5 * gb
        left, right = inverse_root(wb.mT @ wb + eye), inverse_root(wa @ wa.mT + eye)
        s = (1 - lr * decay) ** 0.5
        da, db = left @ polar(left @ ma), polar(mb @ right) @ right
        wa, wb = s * wa - lr / 2 * da / s, s * wb - lr / 2 * db / s
    walk(pairs([a, b], lr=lr, momentum=0.5, weight_decay=decay), now)
    assert_close([a.detach(), b.detach()], [wa, wb], rtol=1e-8, atol=1e-8)


def test_the_product_does_not_know_its_factors():
    """T-r.1: (B S, S^-1 A) walks the same way, with momentum and decay; Muon on the factors does not."""
    target = matrix(9, (5, 6)).detach()
    s = matrix(8, (2, 2)).detach()

    def product(build, gauge):
        a, b = factors()
        with torch.no_grad():
            a.copy_(torch.linalg.solve(gauge, a))
            b.copy_(b @ gauge)
        opt = build([a, b])
        for _ in range(8):
            opt.zero_grad()
            (b @ a - target).square().sum().backward()
            opt.step()
        return (b @ a).detach()

    def intrinsic(pair):
        return pairs(pair, lr=0.05, momentum=0.9, weight_decay=0.1, eps=0.0)

    def plain(pair):
        return Muon(pair, lr=0.05, shape="keller", polar=SVD(), roles="by shape")

    eye = torch.eye(2, dtype=torch.float64)
    assert_close(product(intrinsic, s), product(intrinsic, eye), rtol=1e-9, atol=1e-9)
    assert (product(plain, s) - product(plain, eye)).abs().max() > 0.1


def test_the_step_of_the_product_is_as_long_as_lr():
    """dB A = polar(H_B) polar(A): the halves have at most lr together. T-r.3: if A A^T = I, dB = polar(G_B)."""
    a, b = factors()
    with torch.no_grad():
        a.copy_(polar(a))
    old = b.detach().clone()
    ga, gb = stream([a, b], 1)[0]
    before = (b @ a).detach()
    walk(pairs([a, b], lr=1e-4, eps=0.0), [[ga, gb]])
    assert torch.linalg.matrix_norm((b @ a).detach() - before, 2) <= 1e-4 * 1.01
    assert_close((old - b.detach()) / 0.5e-4, polar(gb), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("how", [{"foreach": False}, {"chunk_bytes": 1}, {"foreach": True}])
def test_a_pair_walks_together_however_others_are_cut(how):
    one, two = [factors(0), factors(4)], [factors(0), factors(4)]
    flat = [p for pair in one for p in pair]
    now = stream(flat, 5)
    walk(pairs(*one, momentum=0.9), now)
    walk(pairs(*two, momentum=0.9, **how), now)
    for p, q in zip(flat, [p for pair in two for p in pair], strict=True):
        assert torch.equal(p, q)


def test_the_order_of_factors_in_a_group_does_not_matter():
    (a, b), (c, d) = factors(), factors()
    now = stream([a, b], 4)
    walk(pairs([a, b]), now)
    group = {"params": [d, c], "roles": ("lora_b pair=3", "lora_a pair=3")}
    walk(IntrinsicMuon([group], polar=SVD()), [[h, g] for g, h in now])
    assert torch.equal(a, c) and torch.equal(b, d)


class Adapted(torch.nn.Module):
    """A frozen layer with factors beside it, under the names that peft gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = torch.nn.Linear(6, 5).requires_grad_(False)
        self.lora_A = torch.nn.ModuleDict({"default": torch.nn.Linear(6, 2, bias=False)})
        self.lora_B = torch.nn.ModuleDict({"default": torch.nn.Linear(2, 5, bias=False)})

    def forward(self, x):
        return self.base_layer(x) + self.lora_B["default"](self.lora_A["default"](x))


@pytest.mark.parametrize("trained_only", [False, True])
def test_pairs_are_found_in_a_model(trained_only):
    net = torch.nn.Sequential(Adapted(), torch.nn.ReLU(), torch.nn.Linear(5, 6), Adapted())
    params = [(name, p) for name, p in net.named_parameters() if p.requires_grad or not trained_only]
    opt = IntrinsicMuon(params if trained_only else net, lr=0.05, **({"roles": net} if trained_only else {}))
    assert "LowRankPair" in repr(opt)
    before = [p.detach().clone() for p in net.parameters()]
    for _ in range(3):
        opt.zero_grad()
        net(torch.ones(4, 6)).square().mean().backward()
        opt.step()
    for p, old in zip(net.parameters(), before, strict=True):
        assert torch.equal(p, old) != p.requires_grad


def test_half_a_pair_is_refused():
    a, b = factors()
    with pytest.raises(ValueError, match="has only lora_a"):
        IntrinsicMuon([{"params": [a], "roles": ("lora_a pair=0",)}])
    opt = pairs([a, b])
    a.grad = torch.ones_like(a)
    with pytest.raises(RuntimeError, match="only some of them have a gradient"):
        opt.step()
    opt.zero_grad()
    opt.step()  # both wait
    b.requires_grad_(False)
    a.grad = torch.ones_like(a)
    with pytest.raises(RuntimeError, match="only some of them have a gradient"):
        opt.step()


def test_a_pair_that_begins_at_zero_starts():
    """LoRA's usual start B = 0: A's gradient is zero, B moves, and nothing explodes."""
    a, b = factors(dtype=torch.float32)
    b.data.zero_()
    target, opt = matrix(9, (5, 6)).detach().float(), pairs([a, b], lr=0.05)
    first = (b @ a - target).square().sum().item()
    for _ in range(60):
        opt.zero_grad()
        loss = (b @ a - target).square().sum()
        loss.backward()
        opt.step()
    assert loss.item() < 0.8 * first and a.abs().max() < 100


def test_pairs_are_saved_and_loaded_to_the_last_bit():
    one, two = factors(), factors()
    now = stream(one, 6)
    a, b = pairs(one, momentum=0.9), pairs(two, momentum=0.9)
    walk(a, now[:3])
    b.load_state_dict(a.state_dict())
    for p, q in zip(two, one, strict=True):
        p.data.copy_(q.data)
    for opt in (a, b):
        walk(opt, now[3:])
    assert not differences(snapshot(a), snapshot(b))
