"""bfloat16 weights: every write rule through its laws, the stall without one, dice, dtypes, bytes, checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from fallline import (
    SGD,
    Adam,
    AdamW,
    CheckpointError,
    Constant,
    Coupled,
    Decoupled,
    Descent,
    Euclid,
    HeavyBall,
    Identity,
    Kahan,
    Lion,
    Nearest,
    Rule,
    SlotError,
    Stochastic,
    gap_adam,
    gap_sgd,
)
from fallline.core.guard import Guard
from fallline.core.memory import Memory
from kit import BANK, differences, owned, readable, snapshot, stream, twins, walk, weights
from laws.write import LAWS

T = torch.tensor(3.0, dtype=torch.float64)
WRITES = (Nearest(), Kahan(), Stochastic(7))
KINDS: dict[str, Callable[..., Descent]] = {
    "adamw": partial(AdamW, lr=0.01),
    "adam-coupled": partial(Adam, lr=0.01, weight_decay=0.1),
    "sgd": partial(SGD, lr=0.01, momentum=0.9, weight_decay=0.1),
    "lion": partial(Lion, lr=0.003),
    "adamw-auto": partial(AdamW, lr=0.01, betas=BANK),
    "sgd-auto": partial(SGD, lr=0.01, momentum="auto"),
    "lion-auto": partial(Lion, lr=0.003, betas=((0.5, 0.9), 0.99)),
    "late": partial(AdamW, lr=0.01, betas=BANK, delay=1),
    "gap-sgd": partial(gap_sgd, lr=0.01, momenta=(0.5, 0.9)),
    "gap-adam": gap_adam,
}
MODES = ("nearest", "kahan", "stochastic")


def half(seed: int = 0) -> list[Parameter]:
    return weights(dtype=torch.bfloat16, seed=seed)


def trained(name: str, steps: int = 7, **options: Any) -> Descent:
    opt = KINDS[name](half(), **options)
    walk(opt, stream(owned(opt), steps))
    return opt


def fields() -> list[Tensor]:
    source = torch.Generator().manual_seed(1)
    return [(torch.randn(5, 7, generator=source) * scale).bfloat16() for scale in (1e-39, 1e-3, 1.0, 1e30)]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", WRITES, ids=str)
def test_law(part: Any, law: Callable[[Any, Tensor], None]) -> None:
    for p in fields():
        law(part, p)


# --- the stall ----------------------------------------------------------------------------------------------------

STEADY: dict[str, Callable[..., Descent]] = {
    "adamw": partial(AdamW, lr=1e-4),
    "sgd": partial(SGD, lr=1e-4, momentum=0.9),
    "lion": partial(Lion, lr=1e-4),
    "adamw-auto": partial(AdamW, lr=1e-4, betas=("auto", 0.999)),
    "sgd-auto": partial(SGD, lr=1e-4, momentum="auto"),
    "lion-auto": partial(Lion, lr=1e-4, betas=("auto", 0.99)),
}


def pushed(build: Callable[..., Descent], dtype: torch.dtype, steps: int = 200, n: int = 256, **options: Any) -> Tensor:
    """How far ones have moved under a constant small gradient."""
    w = Parameter(torch.ones(n, dtype=dtype))
    opt = build([w], **options)
    w.grad = torch.full_like(w, 0.125)
    for _ in range(steps):
        opt.step()
    return 1 - w.detach().double()


@pytest.mark.parametrize("name", STEADY)
def test_small_steps_stall_at_the_nearest_and_move_otherwise(name: str, capsys: Any) -> None:
    """A step below 2^-9 of a weight is rounded away each time; compensated or rounded by dice it arrives."""
    wanted = float(pushed(STEADY[name], torch.float32).mean())
    found = {mode: pushed(STEADY[name], torch.bfloat16, write=mode) for mode in MODES}
    with capsys.disabled():
        told = ", ".join(f"{mode} {float(x.mean()):.5f}" for mode, x in found.items())
        print(f"\n{name}: ones moved by {wanted:.5f} in float32; in bfloat16: {told}")
    assert float(found["nearest"].abs().max()) == 0.0
    assert float((found["kahan"] - wanted).abs().max()) < 2**-9 + 2**-10
    noise = (2.0**-8 * wanted / 256) ** 0.5  # of a mean of 256 walks whose variance grows by step times spacing
    assert abs(float(found["stochastic"].mean()) - wanted) < 4 * noise


def test_compensation_has_an_end_too() -> None:
    """Below 2^-18 of a weight Kahan stalls, where dice still move it; below 2^-25 float32 itself does."""
    for lr, kahan, dice in ((2.0**-15, True, True), (2.0**-20, False, True), (2.0**-27, False, False)):
        build = partial(Lion, lr=lr)
        assert bool(pushed(build, torch.bfloat16, 200, write="kahan").any()) is kahan
        assert bool(pushed(build, torch.bfloat16, 200, n=4096, write="stochastic").any()) is dice


@pytest.mark.parametrize("mode", ["kahan", "stochastic"])
@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("adam-coupled", "sgd")])
def test_weights_follow_those_of_float32(name: str, mode: str) -> None:
    """On given gradients: each to half a spacing and the compensation's own rounding, or all of them in the mean."""
    start = weights([(2000,)], torch.bfloat16)
    exact = [Parameter(p.detach().float()) for p in start]
    ours, theirs, gradients = KINDS[name](start, write=mode), KINDS[name](exact), stream(start, 40)
    walk(ours, gradients)
    walk(theirs, [[g.float() for g in now] for now in gradients])
    error = (start[0] - exact[0]).detach().double()
    spacing = exact[0].detach().double().abs().frexp().mantissa.reciprocal() * exact[0].detach().double().abs() / 2**8
    if mode == "kahan":
        assert bool((error.abs() <= 0.6 * spacing.clamp_min(2.0**-12)).all())
    else:
        assert abs(float(error.mean())) < 4 * float(spacing.max()) * (40 / 2000) ** 0.5 / 2


# --- dice ---------------------------------------------------------------------------------------------------------


def thrown(w: Tensor, t: int, seed: int = 0) -> Tensor:
    """1 where the write went away from zero."""
    p = torch.zeros(w.shape, dtype=torch.bfloat16)
    Stochastic(seed).close(p, w, Memory({}), torch.tensor(float(t), dtype=torch.float64))
    return (p.float().abs() > w.abs()).double()


def between(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


def share(w: Tensor) -> Tensor:
    """How far w lies above the bfloat16 number toward zero, in spacings."""
    return (w.view(torch.int32) & 0xFFFF).double() / 2**16


def test_dice_are_fair_for_every_coordinate() -> None:
    """Over the steps each number is rounded up as often as it should: the squared errors are those of fair coins."""
    n, steps = 2000, 500
    for w in (between(n), torch.full((n,), 0.999), torch.linspace(1, 1 + 2**-7, n)):
        ups, f = sum(thrown(w, t) for t in range(steps)), share(w)
        z = (ups - steps * f) / (steps * f * (1 - f)).clamp_min(1e-9).sqrt()
        z = z[(f > 0.02) & (f < 0.98)]
        assert abs(float(z.mean())) < 4 / len(z) ** 0.5
        assert abs(float(z.square().mean()) - 1) < 4 * (2 / len(z)) ** 0.5


def test_every_low_half_is_exactly_as_likely_as_it_says() -> None:
    """The dice have all 2^16 faces: tested by the chi-squared of 256 bins at two steps."""
    n = 2**18
    for t in (1, 10**6):
        thresholds = torch.arange(256).mul(256).to(torch.int32)
        w = (thresholds.repeat(n // 256) + 0x3F800000).view(torch.float32)
        ups = thrown(w, t).view(-1, 256).mean(0)
        f = share(w)[:256]
        z = (ups - f)[1:] / (f * (1 - f) / (n // 256)).sqrt()[1:]
        assert abs(float(z.square().mean()) - 1) < 5 * (2 / 255) ** 0.5


def test_dice_of_different_places_steps_tensors_and_seeds_have_nothing_in_common() -> None:
    n = 100_000
    w = between(n)

    def coin(x: Tensor, t: int, seed: int = 0) -> Tensor:
        return (thrown(x, t, seed) - share(x)) / (share(x) * (1 - share(x))).clamp_min(1e-9).sqrt()

    first = coin(w, 5)
    others = {
        "the next step": coin(w, 6),
        "the next seed": coin(w, 5, 1),
        "another tensor": coin(between(n, 1), 5),
        "a tensor one bit away": coin((w.view(torch.int32) ^ 1).view(torch.float32), 5),
        "the next place": first.roll(1),
        "256 places on": first.roll(256),
    }
    for what, other in others.items():
        assert abs(float((first * other).mean())) < 5 / n**0.5, what


def test_dice_are_a_function() -> None:
    """Equal in every run, whatever torch's own generator does, which is not touched."""
    before = torch.get_rng_state()
    first = snapshot(trained("adamw", write="stochastic"))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert differences(snapshot(trained("adamw", write="stochastic")), first) == []
    assert differences(snapshot(trained("adamw", write=Stochastic(1)))["params"], first["params"]) != []


def test_known_dice() -> None:
    """Checkpoints go on to the bit on other machines and versions only if these never change."""
    ups = thrown(torch.full((32,), 1 + 2**-8), 1)
    assert int(sum(int(up) << k for k, up in enumerate(ups))) == KNOWN


KNOWN = 0xBC82A8B3


def test_not_contiguous_weights_are_rounded_as_their_copies() -> None:
    """A coordinate's place is its logical one."""
    w = between(12).view(3, 4)
    a, b = torch.zeros(3, 4).bfloat16(), torch.zeros(4, 3).bfloat16().t()
    for p, x in ((a, w), (b, w.t().contiguous().t())):
        Stochastic().close(p, x, Memory({}), T)
    assert torch.equal(a, b)


# --- one rule for all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", KINDS)
def test_grouping_has_no_say(name: str, mode: str) -> None:
    """Loop, bundle, chunks of any size: bit for bit."""
    if "gap" not in name:
        first = snapshot(trained(name, 9, write=mode, foreach=True))
        for options in ({"foreach": False}, {"foreach": True, "chunk_bytes": 0}, {"foreach": True, "chunk_bytes": 64}):
            other = snapshot(trained(name, 9, write=mode, **options))
            assert differences(other["params"], first["params"]) == []
            assert differences(other["state"], first["state"]) == []


@pytest.mark.parametrize("mode", MODES)
def test_one_step_is_the_formula(mode: str) -> None:
    """w = theta + c; w <- (1 - lr decay) w - lr m with coupled decay in g; theta and c from w: rounded once."""
    for combine in (Decoupled(0.5), Coupled(0.5)):
        write = {"nearest": Nearest(), "kahan": Kahan(), "stochastic": Stochastic()}[mode]
        p, c, b = half()[0].detach(), torch.zeros(5, 4).bfloat16(), torch.zeros(5, 4)
        ours = Parameter(p.clone())
        opt = Descent(readable([ours]), Rule(HeavyBall(0.9), Euclid(), Constant(), combine, write=write), lr=0.01)
        for n, (g,) in enumerate(stream([p], 5)):
            w = p.float() + c.float() if mode == "kahan" else p.float()
            b = 0.9 * b + (g.float() + 0.5 * w if isinstance(combine, Coupled) else g.float())
            w = (w * (1 - 0.01 * 0.5) if isinstance(combine, Decoupled) else w) - 0.01 * b
            Stochastic().close(p, w, Memory({}), T * 0 + n + 1) if mode == "stochastic" else p.copy_(w)
            c.copy_(w - p.float())
            walk(opt, [[g]])
            assert torch.equal(ours.detach(), p)
        assert mode != "kahan" or torch.equal(opt.state[ours]["write.c"], c)


def test_wide_weights_beside_narrow_ones_are_not_rounded() -> None:
    """In one optimizer: float32 weights go as without, and remember nothing more."""
    mixed = lambda: [half()[0], weights()[1]]  # noqa: E731
    plain = AdamW(mixed())
    gradients = stream(owned(plain), 5)
    walk(plain, gradients)
    for mode in ("kahan", "stochastic"):
        opt = AdamW(mixed(), write=mode)
        walk(opt, gradients)
        assert torch.equal(owned(opt)[1], owned(plain)[1])
        assert ("write.c" in opt.state[owned(opt)[0]]) is (mode == "kahan") and "write.c" not in opt.state[
            owned(opt)[1]
        ]


@pytest.mark.parametrize("mode", MODES)
def test_an_unfit_step_on_a_device_changes_nothing(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the compensation, nor the dice of the steps that follow."""
    opt, other = trained("adamw-auto", write=mode), trained("adamw-auto", write=mode)
    before = snapshot(opt)
    with monkeypatch.context() as device:
        device.setattr(Guard, "judge", lambda *_: torch.tensor(False))
        walk(opt, stream(owned(opt), 2, seed=6))
    assert differences(snapshot(opt), before) == []
    for each in (opt, other):
        walk(each, stream(owned(each), 3, seed=5))
    assert differences(snapshot(opt), snapshot(other)) == []


def test_the_sentence_tells_what_is_not_usual() -> None:
    assert str(AdamW(half())).endswith("Decoupled(0.01)")
    assert str(AdamW(half(), write=Nearest())).endswith("Decoupled(0.01)")
    assert str(AdamW(half(), write="kahan")).endswith("Decoupled(0.01) → Kahan()")
    assert str(SGD(half(), write=Stochastic(3))).endswith("Coupled(0.0) → Stochastic(3)")
    assert str(Lion(half(), state_dtype=torch.float64)).endswith("Decoupled(0.0), in float64")
    assert (
        AdamW(half(), write="stochastic").param_groups[0]["recipe"]
        == "EMA → SecondMoment → Constant → Decoupled → Stochastic"
    )


# --- the state's dtype --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", KINDS)
def test_float64_inside(name: str, dtype: torch.dtype) -> None:
    """Memory and arithmetic are those of float64 weights; only the result is rounded."""
    narrow = weights(dtype=dtype)
    wide = [Parameter(p.detach().double()) for p in narrow]
    a, b = KINDS[name](readable(narrow), state_dtype=torch.float64), KINDS[name](readable(wide))
    for now in stream(narrow, 9):
        walk(a, [now])
        walk(b, [[g.double() for g in now]])
        for p, q in zip(narrow, wide, strict=True):
            q.detach().copy_(q.detach().to(dtype))
            assert torch.equal(p.double(), q)
    assert differences(snapshot(a)["state"], snapshot(b)["state"]) == []
    assert {x.dtype for key, x in a.state[narrow[0]].items() if key != "step"} == {torch.float64}


def test_memory_is_never_narrower_than_the_weights() -> None:
    opt, plain = AdamW(weights(dtype=torch.float64), state_dtype=torch.float32), AdamW(weights(dtype=torch.float64))
    for each in (opt, plain):
        walk(each, stream(owned(each), 5))
    assert differences(snapshot(opt), snapshot(plain)) == []


def test_kahan_compensates_float32_too() -> None:
    """Where the arithmetic is float64: a thousand steps of 2^-30."""
    build = partial(Lion, lr=2.0**-30, state_dtype=torch.float64)
    assert not pushed(build, torch.float32, 1000).any()
    moved = pushed(build, torch.float32, 1000, write="kahan")
    assert bool(((moved - 1000 * 2.0**-30).abs() <= 2.0**-24).all())


def test_float64_and_dice_meet() -> None:
    moved = pushed(partial(Lion, lr=1e-4, state_dtype=torch.float64), torch.bfloat16, write="stochastic")
    assert float(moved.mean()) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("given", [torch.bfloat16, torch.float16])
def test_a_half_precision_memory_is_refused_with_the_reason(given: torch.dtype) -> None:
    with pytest.raises(
        ValueError, match=r"Invalid state_dtype: torch\..*decay \.999 stands still.*Give torch\.float32 or"
    ):
        AdamW(half(), state_dtype=given)
    v = torch.ones((), dtype=given)
    assert torch.equal(v.clone().lerp_(torch.tensor(1.5, dtype=given), 0.001), v) or given is torch.float16


@pytest.mark.parametrize("given", ["float32", None, torch.int32, torch.complex64, 32])
def test_another_state_dtype_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"Invalid state_dtype: .*Give torch\.float32 or torch\.float64\."):
        Rule(Identity(), Euclid(), Constant(), Decoupled(), state_dtype=given)


def test_the_dtype_may_change_on_the_way() -> None:
    """A rule that computes in float64 goes on with what it has learned."""
    opt = Descent(half(), Rule(HeavyBall(0.9), Euclid(), Constant(), Decoupled()), lr=0.01)
    walk(opt, stream(owned(opt), 3))
    learned = opt.state[owned(opt)[0]]["filter.b"].clone()
    opt.rule = Rule(HeavyBall(0.9), Euclid(), Constant(), Decoupled(), state_dtype=torch.float64)
    opt.state_dict()
    assert differences(opt.state[owned(opt)[0]]["filter.b"], learned.double()) == []  # in dtype and bits
    walk(opt, stream(owned(opt), 3))


# --- bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"write": "kahan"}, {"write": "stochastic"}, {"state_dtype": torch.float64}], ids=str
)
@pytest.mark.parametrize("name", KINDS)
def test_state_bytes_are_exact_in_every_part(name: str, options: dict[str, Any]) -> None:
    """The sum over storages, each once."""
    opt = trained(name, **options)
    told = opt.report()
    found: dict[str, dict[int, int]] = {}
    for entry in opt.state.values():
        for key, x in entry.items():
            storage = x.untyped_storage()
            found.setdefault(key.split(".")[0], {})[storage.data_ptr()] = storage.nbytes()
    assert told["state_bytes_by_part"] == {slot: sum(sizes.values()) for slot, sizes in found.items()}
    assert told["state_bytes"] == opt.state_bytes() == sum(told["state_bytes_by_part"].values())


def test_what_precision_costs() -> None:
    """AdamW on n bfloat16 weights: 8 n; compensation 2 n more; dice nothing; float64 twice."""
    n = sum(p.numel() for p in half())
    parts = {mode: trained("adamw", write=mode).report()["state_bytes_by_part"] for mode in MODES}
    assert parts["nearest"] == parts["stochastic"] == {"step": 4, "filter": 4 * n, "metric": 4 * n}
    assert parts["kahan"] == {**parts["nearest"], "write": 2 * n}
    assert trained("adamw", state_dtype=torch.float64).state_bytes() == 16 * n + 4


# --- checkpoints --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [*({"write": mode} for mode in MODES), {"write": "kahan", "state_dtype": torch.float64}], ids=str
)
@pytest.mark.parametrize("name", KINDS)
def test_resuming_is_exact(name: str, options: dict[str, Any], tmp_path: Any) -> None:
    """Through a file, into an object that computes in a loop; ten more steps."""
    opt = trained(name, **options)
    torch.save(opt.state_dict(), tmp_path / "it")
    new = KINDS[name](twins(owned(opt)), **options, **({} if "gap" in name else {"foreach": False}))
    new.load_state_dict(torch.load(tmp_path / "it", weights_only=True))
    gradients = stream(owned(opt), 10, seed=7)
    walk(opt, gradients)
    walk(new, gradients)
    assert differences(snapshot(new)["params"], snapshot(opt)["params"]) == []
    assert differences(snapshot(new)["state"], snapshot(opt)["state"]) == []
    if options["write"] == "kahan":
        assert new.state[owned(new)[0]]["write.c"].dtype is torch.bfloat16


@pytest.mark.parametrize(("saved", "loaded"), [(a, b) for a in MODES for b in MODES if a != b])
def test_another_way_to_write_is_refused(saved: str, loaded: str) -> None:
    opt, new = trained("adamw", write=saved), trained("adamw", write=loaded)
    before = snapshot(new)
    with pytest.raises(CheckpointError, match=r"written by .*, but AdamW is .* Construct the optimizer as it was"):
        new.load_state_dict(opt.state_dict())
    assert differences(snapshot(new), before) == []


def test_a_rule_that_changes_its_way_to_write_keeps_the_rest() -> None:
    """The compensation begins at nothing, and goes when it is no longer wanted."""
    rules = {
        mode: Rule(HeavyBall(0.9), Euclid(), Constant(), Decoupled(), write=w)
        for mode, w in zip("nks", WRITES, strict=True)
    }
    opt = Descent(half(), rules["n"], lr=0.01)
    for mode, keys in (
        ("n", {"step", "filter.b"}),
        ("k", {"step", "filter.b", "write.c"}),
        ("s", {"step", "filter.b"}),
    ):
        opt.rule = rules[mode]
        walk(opt, stream(owned(opt), 2))
        assert set(opt.state[owned(opt)[0]]) == keys
    assert float(opt.state[owned(opt)[0]]["step"]) == 6


def test_a_float32_checkpoint_goes_on_in_float64() -> None:
    opt = trained("adamw")
    new = AdamW(twins(owned(opt)), lr=0.01, state_dtype=torch.float64)
    new.load_state_dict(copy.deepcopy(opt.state_dict()))
    walk(new, stream(owned(new), 1))
    assert new.state[owned(new)[0]]["metric.v"].dtype is torch.float64 and float(new.state[owned(new)[0]]["step"]) == 8


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", ["kahan", "stochastic", Stochastic(1)], ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_a_way_to_round_without_anything_to_round_is_refused(name: str, write: Any) -> None:
    with pytest.raises(ValueError, match=r"weights are torch\.float32 and .*nothing is rounded\. Leave write out"):
        KINDS[name](weights(), write=write)


@pytest.mark.parametrize(
    ("write", "error", "says"),
    [
        ("round", ValueError, r"Invalid write: 'round'; choose 'nearest', 'stochastic', 'kahan', or a part"),
        (Euclid(), SlotError, r"slot 'write' of a Rule takes a Write, but got Euclid .*'metric'.*fallline\.writes"),
        (True, SlotError, r"slot 'write' of a Rule takes a Write, but got True"),
    ],
)
def test_another_write_is_refused(write: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        AdamW(half(), write=write)


@pytest.mark.parametrize("seed", [1.5, "x", None, True])
def test_a_seed_is_an_integer(seed: Any) -> None:
    with pytest.raises(ValueError, match=r"Invalid seed: .*; give an integer"):
        Stochastic(seed)


def test_dice_are_refused_where_they_would_not_be_fair() -> None:
    """When the optimizer is built or a group added, not in the first step; nothing is added."""
    says = r"Stochastic writes bfloat16 weights, but these are torch\.float16\. Use Kahan\(\) or Nearest\(\)"
    with pytest.raises(ValueError, match=says):
        AdamW(weights(dtype=torch.float16), write="stochastic")
    opt = AdamW(half(), write="stochastic")
    with pytest.raises(ValueError, match=says):
        opt.add_param_group({"params": weights(dtype=torch.float16)})
    assert len(opt.param_groups) == 1
    walk(AdamW(weights(dtype=torch.float16), write="kahan"), stream(weights(dtype=torch.float16), 2))


def test_they_belong_to_the_whole_optimizer() -> None:
    with pytest.raises(ValueError, match=r"write, state_dtype: these belong to the whole optimizer"):
        AdamW([{"params": half(), "write": "kahan", "state_dtype": torch.float64}])
