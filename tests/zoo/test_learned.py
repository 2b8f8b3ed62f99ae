"""Preconditioners learned from Gram matrices: optimizers beside loops from their equations, and identities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from fallline import (
    ASGO,
    DASGO,
    EMA,
    SOAP,
    SVD,
    DeVA,
    DeVAEuclid,
    Euclid,
    Grafted,
    Identity,
    KLShampoo,
    Kronecker,
    Kullback,
    Late,
    MatchRMS,
    Muon,
    RotatedMoment,
    Rule,
    SecondMoment,
    Shampoo,
    SideMoment,
    Spectral,
    Trailing,
    Varied,
    Wait,
)
from fallline.core.memory import Memory
from laws import filter as filters
from laws.metric import (
    LAWS,
    T,
    a_bundle_is_a_loop,
    alignment_is_the_pairing_with_the_direction,
    power_follows_the_taps_or_nothing,
    prepared,
    signs_pass_through,
)
from sampler import noisy_descent

SHAPES = ((5, 4), (4, 5), (4, 4))
FREE = {"roles": "by shape", "state_dtype": torch.float64}
METRICS = (
    Kronecker(0.9),
    Kronecker(1.0, 1.0),
    Kronecker(0.9, sides="short", every=2),
    Kronecker(0.9, largest=4),
    Kronecker(0.9, largest=2),
    Kullback(0.9, every=2),
    Kullback(0.9, largest=4),
    SideMoment(0.9),
    RotatedMoment(0.9, 0.01, every=1),  # gradients of one direction leave most of V empty: there eps alone is the price
    RotatedMoment(0.9, 0.01, every=3, largest=4),
)


def matrices(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parameters(shapes=SHAPES) -> list[Tensor]:
    return [torch.nn.Parameter(matrices(*shape, seed=9)) for shape in shapes]


def walked(opt, steps: int = 25, shapes=SHAPES) -> list[Tensor]:
    """The weights after each step on a fixed stream."""
    params = opt.param_groups[0]["params"]
    seen = []
    for grads in noisy_descent(3, steps, shapes):
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        opt.step()
        seen.append([p.detach().clone() for p in params])
    return seen


def agree(opt, loop, steps: int = 25, shapes=SHAPES) -> None:
    """The optimizer's weights beside those of `loop(w, gradients)`, which yields them after each step."""
    start = [p.detach().clone() for p in opt.param_groups[0]["params"]]
    stream = noisy_descent(3, steps, shapes)
    ours = walked(opt, steps, shapes)
    for i, w in enumerate(start):
        for n, told in enumerate(loop(w, [grads[i] for grads in stream])):
            assert_close(ours[n][i], told, rtol=1e-9, atol=1e-9)


# --- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [law for law in LAWS if law is not power_follows_the_taps_or_nothing])
@pytest.mark.parametrize("part", METRICS, ids=str)
def test_law(part, law):
    for g in (matrices(3, 5), 1e-3 * matrices(6, 4), 1e3 * matrices(2, 3, 4)):
        law(part, g)


@pytest.mark.parametrize("law", (signs_pass_through, alignment_is_the_pairing_with_the_direction, a_bundle_is_a_loop))
@pytest.mark.parametrize(
    "part", (Varied(Spectral(SVD()), every=1), Grafted(Kronecker(0.9), SecondMoment(0.9))), ids=str
)
def test_law_of_bent_directions(part, law):
    for g in (matrices(3, 5), matrices(2, 3, 4)):
        law(part, g)


@pytest.mark.parametrize("part", METRICS, ids=str)
def test_power_is_the_trace_of_the_inverse(part):
    for g in (matrices(3, 5), matrices(2, 5, 3)):
        mem, gram = prepared(part, g), torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
        units = torch.eye(g.numel(), dtype=g.dtype).view(-1, *g.shape)
        trace = sum(float((e * part.direction(e, mem, T)).sum()) for e in units)
        assert_close(part.power(gram, g, mem, T)[0], gram * trace)


@pytest.mark.parametrize("law", filters.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", (Late(EMA(0.9)), Late(EMA(0.5), 3)), ids=str)
def test_a_late_filter_obeys_the_laws_of_filters(part, law):
    law(part, matrices(9, 4))


@pytest.mark.parametrize("part", METRICS, ids=str)
def test_nothing_and_little_rank_give_no_nan(part):
    for g in (torch.zeros(4, 6), matrices(4, 1).float() @ matrices(1, 6).float()):
        mem = Memory(part.memory(g))
        for n in range(1, 6):
            part.observe(g, mem, torch.tensor(float(n), dtype=torch.float64))
            d = part.direction(g, mem, torch.tensor(float(n), dtype=torch.float64))
            assert d.isfinite().all()


def test_a_step_that_will_be_undone_does_not_raise():
    for part in METRICS:
        mem = Memory(part.memory(torch.ones(3, 4)))
        for n in (1.0, 2.0, 3.0):
            part.observe(torch.full((3, 4), torch.nan), mem, torch.tensor(n, dtype=torch.float64))


# --- identities ---------------------------------------------------------------------------------------------------


def directed(part, g: Tensor, steps: int = 1) -> Tensor:
    """The direction for g after it was seen so often."""
    mem = Memory(part.memory(g))
    for n in range(1, steps + 1):
        part.observe(g, mem, torch.tensor(float(n), dtype=torch.float64))
    return part.direction(g, mem, torch.tensor(float(steps), dtype=torch.float64))


@pytest.mark.parametrize("part", (Kronecker(0.0, eps=1e-30), Kronecker(0.0, sides="short", eps=1e-30)), ids=str)
def test_without_accumulation_shampoo_is_the_polar_factor(part):
    """T-a.3, T-v.1, T-k.1: (G G^T)^(-1/4) G (G^T G)^(-1/4) = (G G^T)^(-1/2) G = U V^T."""
    for shape in ((4, 4), (2, 4, 4)):
        g = matrices(*shape)
        assert_close(directed(part, g), SVD()(g))


def test_one_side_is_enough_for_the_polar_factor_of_a_rectangle():
    part = Kronecker(0.0, sides="short", eps=1e-30)
    for g in (matrices(3, 5), matrices(6, 4)):
        assert_close(directed(part, g), SVD()(g))
        assert_close(directed(Kronecker(0.0, largest=max(g.shape) - 1, eps=1e-30), g), SVD()(g))


def test_the_diagonal_of_one_gradient_normalises_rows_or_columns():
    """T-k.2: DASGO without memory is row normalisation of the shorter side."""
    for g, dim in ((matrices(3, 5), 1), (matrices(6, 4), 0)):
        assert_close(directed(SideMoment(0.0, 1e-30), g), g / g.norm(dim=dim, keepdim=True))


@pytest.mark.parametrize("part", METRICS[:3], ids=str)
def test_learned_sides_turn_with_the_gradients(part):
    """T-k.3: direction(Q G) = Q direction(G) for orthogonal Q on a side that is learned."""
    g, q = matrices(4, 6), torch.linalg.qr(matrices(4, 4, seed=1))[0]
    assert_close(directed(part, q @ g, 3), q @ directed(part, g, 3))


def test_soap_of_one_gradient_in_its_own_basis_is_the_polar_factor():
    """T-v.3: sign in the eigenbasis, in which G is diagonal; off the diagonal 0 / eps."""
    g = matrices(4, 4)
    part = RotatedMoment(0.0, eps=1e-9, every=100)
    assert_close(directed(part, g, 2), SVD()(g), rtol=1e-4, atol=1e-4)


def test_soap_that_may_not_turn_is_adam_from_the_second_step():
    """T-v.2: both sides are longer than allowed. The two put eps in different places."""
    opt = SOAP(parameters(), 0.01, 0.9, 0.99, 1e-30, weight_decay=0.0, largest=2, **FREE)
    adam = torch.optim.Adam(parameters(), 0.01, (0.9, 0.99), 1e-30)
    first, *later = walked(opt, 12)
    assert_close(first, [p.detach() for p in parameters()])
    for grads, ours in zip(noisy_descent(3, 12, SHAPES)[1:], later, strict=True):
        for p, g in zip(adam.param_groups[0]["params"], grads, strict=True):
            p.grad = g
        adam.step()
        assert_close(ours, [p.detach() for p in adam.param_groups[0]["params"]])


def test_a_graft_has_the_way_of_one_and_the_length_of_the_other():
    g = matrices(2, 4, 4)
    d = directed(Grafted(Kronecker(0.0, eps=1e-30), Euclid()), g)
    assert_close(d, SVD()(g) * (g.norm(dim=(-2, -1), keepdim=True) / 2))
    with pytest.raises(ValueError, match="both remember"):
        Grafted(RotatedMoment(), SecondMoment()).memory(g)


# --- loops from the equations -------------------------------------------------------------------------------------


def root(a: Tensor, power: float, floor: float) -> Tensor:
    values, q = torch.linalg.eigh(a)
    return q @ torch.diag((values.clamp(min=0) + floor * values[-1]) ** power) @ q.T


def shampoo(w, gradients, lr=0.01, b1=0.95, b2=0.9, decay=0.1, every=3, floor=1e-6):
    m, v, left, right = torch.zeros_like(w), torch.zeros_like(w), 0.0, 0.0
    for n, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = 0.95 * v + 0.05 * g**2
        left, right = b2 * left + (1 - b2) * g @ g.T, b2 * right + (1 - b2) * g.T @ g
        if (n - 1) % every == 0:
            roots = [root(a / (1 - b2**n), -1 / 4, floor) for a in (left, right)]
        mhat = m / (1 - b1**n)
        d = roots[0] @ mhat @ roots[1]
        adam = mhat / ((v / (1 - 0.95**n)).sqrt() + 1e-8)
        w = (1 - lr * decay) * w - lr * d * adam.norm() / d.norm()
        yield w


def test_shampoo_walks_as_its_equations():
    opt = Shampoo(parameters(), 0.01, beta2=0.9, weight_decay=0.1, every=3, **FREE)
    agree(opt, shampoo)


def soap(w, gradients, lr=0.01, b1=0.9, b2=0.95, eps=1e-8, decay=0.1, every=3):
    """The order of the official code, with m kept in the basis and turned along with it."""
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for s, g in enumerate(gradients):
        if s == 0:
            left, right = (1 - b2) * g @ g.T, (1 - b2) * g.T @ g
            q, r = (torch.linalg.eigh(a)[1].flip(1) for a in (left, right))
            yield w
            continue
        turned = q.T @ g @ r
        m, v = b1 * m + (1 - b1) * turned, b2 * v + (1 - b2) * turned**2
        size = lr * (1 - b2**s) ** 0.5 / (1 - b1**s)
        w = w - size * q @ (m / (v.sqrt() + eps)) @ r.T
        w = w - lr * decay * w
        m = q @ m @ r.T
        left, right = b2 * left + (1 - b2) * g @ g.T, b2 * right + (1 - b2) * g.T @ g
        if s % every == 0:
            rows, columns = (torch.argsort((x.T @ a @ x).diag(), descending=True) for a, x in ((left, q), (right, r)))
            v = v[rows][:, columns]
            q, r = torch.linalg.qr(left @ q[:, rows])[0], torch.linalg.qr(right @ r[:, columns])[0]
        m = q.T @ m @ r
        yield w


def test_soap_walks_as_the_official_code():
    agree(SOAP(parameters(), 0.01, 0.9, weight_decay=0.1, every=3, **FREE), soap)


def kl_shampoo(w, gradients, lr=0.01, b1=0.95, b2=0.9, decay=0.1, every=3, floor=1e-6):
    m, (rows, columns) = torch.zeros_like(w), w.shape
    size = gradients[0].square().mean().sqrt()
    left, right = size * torch.eye(rows, dtype=w.dtype), size * torch.eye(columns, dtype=w.dtype)
    for n, g in enumerate(gradients, start=1):
        if (n - 1) % every == 0:
            a, b = root(left, -1 / 2, floor), root(right, -1 / 2, floor)
        left, right = (
            b2 * left + (1 - b2) / columns * g @ b @ b @ g.T,
            b2 * right + (1 - b2) / rows * g.T @ a @ a @ g,
        )
        m = b1 * m + (1 - b1) * g
        w = (1 - lr * decay) * w - lr * a @ m @ b / (1 - b1**n)
        yield w


def test_kl_shampoo_walks_as_its_equations():
    agree(KLShampoo(parameters(), 0.01, beta2=0.9, weight_decay=0.1, every=3, **FREE), kl_shampoo)


def test_both_sides_together_fit_a_covariance_that_is_a_product():
    """G = A X B with white X has the covariance A A^T (x) B^T B, which L (x) R finds up to noise."""
    a, b = torch.diag(torch.tensor([1.0, 2.0, 4.0]).double()), torch.diag(torch.tensor([1.0, 3.0]).double())
    part = Kullback(0.99, eps=1e-12)
    mem, noise = Memory(part.memory(torch.zeros(3, 2, dtype=torch.float64))), matrices(600, 3, 2)
    for n, x in enumerate(noise, start=1):
        part.observe(1e-3 * a @ x @ b, mem, torch.tensor(float(n), dtype=torch.float64))
    found = torch.kron(mem.left.diag(), mem.right.diag())
    assert_close(found, 1e-6 * torch.kron(a.diag(), b.diag()).square(), rtol=0.3, atol=0.0)


def test_soap_agrees_with_another_library():
    """pytorch_optimizer keeps the official order and takes its QR in float32."""
    other = pytest.importorskip("pytorch_optimizer")
    numbers = {"betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1, "precondition_frequency": 3}
    theirs = walked(other.SOAP(parameters(), lr=0.01, **numbers), 20)
    ours = walked(SOAP(parameters(), 0.01, 0.9, weight_decay=0.1, every=3, **FREE), 20)
    assert_close(ours, theirs, rtol=0.0, atol=1e-6)


def asgo(w, gradients, lr=0.01, b1=0.9, b2=0.8, decay=0.1, floor=1e-10):
    m, v = torch.zeros_like(w), 0.0
    wide = w.shape[0] <= w.shape[1]
    for g in gradients:
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * (g @ g.T if wide else g.T @ g)
        d = root(v, -1 / 2, floor) @ m if wide else m @ root(v, -1 / 2, floor)
        w = (1 - lr * decay) * w - lr * 0.2 * w.numel() ** 0.5 * d / d.norm()
        yield w


def test_asgo_walks_as_its_equations():
    agree(ASGO(parameters(), 0.01, **FREE), asgo)


def dasgo(w, gradients, lr=0.01, b1=0.9, b2=0.8, decay=0.1):
    m, v = torch.zeros_like(w), 0.0
    side = 1 if w.shape[0] <= w.shape[1] else 0
    for g in gradients:
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * (g * g).sum(side, keepdim=True)
        d = m / v.sqrt()
        w = (1 - lr * decay) * w - lr * 0.2 * w.numel() ** 0.5 * d / d.norm()
        yield w


def test_dasgo_walks_as_its_equations():
    agree(DASGO(parameters(), 0.01, **FREE), dasgo)


def test_asgo_without_memory_is_muon():
    """T-k.1: .2 sqrt(mn) U V^T / sqrt(r) = .2 sqrt(max(m, n)) U V^T."""
    asgo = ASGO(parameters(), 0.01, 0.0, 0.0, 1e-30, **FREE)
    muon = Muon(parameters(), 0.01, 0.0, 0.1, polar=SVD(), **FREE)
    assert_close(walked(asgo, 3), walked(muon, 3))


def deva(w, gradients, lr=0.003, b1=0.95, b2=0.9, eps=1e-8, decay=0.01, every=3):
    """m in the basis, turned along with it; the polar factor is taken there."""
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for s, g in enumerate(gradients):
        if s == 0:
            left, right = (1 - b2) * g @ g.T, (1 - b2) * g.T @ g
            q, r = (torch.linalg.eigh(a)[1].flip(1) for a in (left, right))
            yield w
            continue
        turned = q.T @ g @ r
        m = b1 * m + (1 - b1) * turned
        lengths = m.norm(dim=1, keepdim=True) * m.norm(dim=0, keepdim=True)
        v = b2 * v + (1 - b2) * lengths
        x, _, y = torch.linalg.svd((1 - b1) * turned + b1 * m, full_matrices=False)
        d = x @ y * lengths.sqrt() / (v + eps).sqrt() * 0.2 * max(w.shape) ** 0.5
        w = w - lr * (1 - b2**s) ** 0.5 / (1 - b1**s) * q @ d @ r.T
        w = w - lr * decay * w
        m = q @ m @ r.T
        left, right = b2 * left + (1 - b2) * g @ g.T, b2 * right + (1 - b2) * g.T @ g
        if s % every == 0:
            rows, columns = (torch.argsort((x.T @ a @ x).diag(), descending=True) for a, x in ((left, q), (right, r)))
            v = v[rows][:, columns]
            q, r = torch.linalg.qr(left @ q[:, rows])[0], torch.linalg.qr(right @ r[:, columns])[0]
        m = q.T @ m @ r
        yield w


def test_deva_walks_as_its_equations():
    agree(DeVA(parameters(), beta2=0.9, every=3, polar=SVD(), **FREE), deva)


def test_deva_without_memory_of_the_variance_is_muon():
    """T-x.3, up to the correction for the bias: 1 / (1 - b1) at its first step."""
    g, part = matrices(4, 5), Varied(MatchRMS(Spectral(SVD())), 0.9, 0.0, 1e-30)
    assert_close(directed(part, g, 2), directed(part.metric, g) / (1 - 0.9))


def deva_euclid(w, gradients, lr=0.01, b1=0.9, b2=0.99, eps=1e-5, decay=0.1):
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for g in gradients:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * m**2
        w = (1 - lr * decay) * w
        w = w - lr * (m**2 / (v + eps)).sqrt() * m.sign()
        yield w


def test_euclidean_deva_walks_as_its_equations():
    agree(DeVAEuclid(parameters(), 0.01, (0.9, 0.99), weight_decay=0.1, state_dtype=torch.float64), deva_euclid)


def test_euclidean_deva_without_momentum_is_rmsprop():
    """T-x.4. torch's RMSprop has its eps elsewhere."""
    ours = walked(DeVAEuclid(parameters(), 0.01, (0.0, 0.99), 1e-30, state_dtype=torch.float64), 12)
    theirs = walked(torch.optim.RMSprop(parameters(), 0.01, 0.99, 1e-30), 12)
    assert_close(ours, theirs)


@pytest.mark.parametrize("build", (Shampoo, KLShampoo, SOAP, ASGO, DASGO, DeVA))
def test_vectors_and_embeddings_go_to_the_rest(build):
    model = torch.nn.Sequential(
        torch.nn.Embedding(7, 4), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 7)
    )
    opt = build(model)
    rules = {p: section.rule for section in opt.sections(opt.param_groups[0]) for p in section.params}
    assert [name for name, p in model.named_parameters() if rules[p].matrix] == ["1.weight"]


@pytest.mark.parametrize("build", (Shampoo, KLShampoo, SOAP, ASGO, DASGO, DeVA))
def test_pieces_of_a_weight_walk_as_matrices_of_their_own(build):
    """q, k and v in one weight: three pairs of sides, three steps."""
    how = {"state_dtype": torch.float64} | ({} if build is DASGO else {"every": 2})
    whole, pieces = torch.nn.Parameter(matrices(12, 3)), matrices(12, 3).chunk(3)
    one = build([{"params": [whole], "roles": "attention groups=3"}], **how)
    three = build([torch.nn.Parameter(x.clone()) for x in pieces], roles="by shape", **how)
    for (g,) in noisy_descent(5, 6, ((12, 3),)):
        whole.grad = g
        for p, piece in zip(three.param_groups[0]["params"], g.chunk(3), strict=True):
            p.grad = piece
        one.step()
        three.step()
    assert_close(whole.detach(), torch.cat([p.detach() for p in three.param_groups[0]["params"]]))


def test_soap_chooses_its_momentum():
    opt = SOAP(parameters(), 0.01, "auto", **FREE)
    walked(opt, 12)
    assert opt.param_groups[0]["momentum"] in opt.param_groups[0]["candidates"]


def test_muon_is_shampoo_without_memory():
    g = matrices(4, 4)
    rule = Rule(Identity(), Kronecker(0.0, eps=1e-30), Wait(), Trailing())
    assert rule.matrix and "Kronecker" in str(rule)
    assert_close(directed(rule.metric, g), Spectral(SVD()).direction(g, Memory({}), T))
