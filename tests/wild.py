"""Optimizers, parameters and gradients at random: what hypothesis draws from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import reject
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import Parameter

from fallline import (
    EMA,
    SGD,
    Adam,
    AdamW,
    Bank,
    Cone,
    Constant,
    Coupled,
    Decoupled,
    Descent,
    Euclid,
    Fixed,
    GainOf,
    Greedy,
    HeavyBall,
    Identity,
    Kahan,
    Lion,
    Nearest,
    Nesterov,
    Probe,
    QuasiHyperbolic,
    Replay,
    Rule,
    SecondMoment,
    Sign,
    SlotError,
    Span,
    Stochastic,
    Undamped,
    UnitGain,
    UnitPower,
    gap_adam,
    gap_sgd,
)

# --- parameters ---------------------------------------------------------------------------------------------------

SHAPES = ((), (0,), (1,), (7,), (3, 5), (2, 3, 4), (4, 6, 3, 2), (40, 9), (0, 3), (700,), (1, 20))
DTYPES = (torch.float32, torch.float32, torch.float32, torch.bfloat16, torch.float64, torch.float16, torch.complex64)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _slice(x: Tensor, at: int) -> Tensor:
    flat = torch.cat([x.new_zeros(at), x.reshape(-1), x.new_zeros(2)])
    return flat[at : at + x.numel()].view(x.shape)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x.clone(),
    "transposed": lambda x: x.mT.contiguous().mT if x.dim() > 1 else x.clone(),
    "channels_last": lambda x: _channels_last(x.clone()),
    "every-second": lambda x: torch.stack([x, x], -1)[..., 0],
    "slice": lambda x: _slice(x, 3),  # of a flat tensor, and not where wide loads begin
    "other-slice": lambda x: _slice(x, 1),
}


@dataclass(frozen=True)
class Kind:
    """What a parameter is made of."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: str

    def parameter(self, like: Tensor | None = None) -> Parameter:
        """A new one, with these numbers or with known ones."""
        if like is None:
            source = torch.Generator().manual_seed(len(self.shape) + sum(self.shape))
            like = torch.randn(self.shape, generator=source, dtype=torch.float64).to(self.dtype)
        return Parameter(LAYOUTS[self.layout](like.detach().clone()))


KINDS = st.builds(Kind, st.sampled_from(SHAPES), st.sampled_from(DTYPES), st.sampled_from(sorted(LAYOUTS)))

# --- gradients ----------------------------------------------------------------------------------------------------

SCALES = {"usual": 1.0, "tiny": 1e-30, "denormal": 1e-44, "large": 1e4, "square": 1e20, "huge": 3e37}
BROKEN = {"nan": torch.nan, "inf": torch.inf, "-inf": -torch.inf}
MOODS = ("usual", "usual", "usual", "usual", "none", "zero", "mixed", *SCALES, *BROKEN)
SPREAD = ("contiguous", "contiguous", "transposed", "every-second", "expanded", "slice", "conjugated")


@dataclass(frozen=True)
class Mood:
    """What a gradient looks like."""

    word: str
    layout: str
    seed: int

    def gradient(self, p: Tensor) -> Tensor | None:
        """It, for this parameter."""
        if self.word == "none":
            return None
        source = torch.Generator().manual_seed(self.seed)
        g = torch.randn(p.shape, generator=source, dtype=torch.float64) * SCALES.get(self.word, 1.0)
        if self.word == "mixed":
            g = g * 10.0 ** torch.randint(-40, 37, g.shape, generator=source)
        limit = torch.finfo(p.dtype).max / 4
        g = (torch.zeros_like(g) if self.word == "zero" else g).clamp(-limit, limit).to(p.dtype)
        if self.word in BROKEN and g.numel():
            g.view(-1)[self.seed % g.numel()] = BROKEN[self.word]
        if self.layout == "expanded":
            return g.reshape(-1)[:1].reshape([1] * g.dim()).expand(g.shape) if g.numel() else g
        return g.conj() if self.layout == "conjugated" else LAYOUTS[self.layout](g)


MOOD = st.builds(Mood, st.sampled_from(MOODS), st.sampled_from(SPREAD), st.integers(0, 2**16))

# --- optimizers ---------------------------------------------------------------------------------------------------

BETAS = st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999])
POOL = st.sampled_from([(0.5, 0.9), (0.0, 0.9), (0.5, 0.9, 0.99), (0.1, 0.5, 0.9, 0.999)])
DECAY = st.sampled_from([0.0, 0.0, 1e-2, 0.5])
LR = st.sampled_from([0.0, 1e-8, 1e-3, 1e-2, 0.1, torch.tensor(0.01), torch.tensor([0.003]), torch.tensor(0.0)])
EPS = st.sampled_from([1e-8, 1e-8, 1e-15, 1e-3])
SELECTORS = st.one_of(
    st.builds(
        Greedy,
        st.sampled_from(["global", "parameter"]),
        st.sampled_from(["same", "held-out"]),
        st.sampled_from(["exact", "asymptotic"]),
        st.sampled_from([0.0, 0.5, 0.9]),
        st.integers(1, 3),
    ),
    st.builds(Span, scope=st.sampled_from(["global", "parameter"]), smoothing=st.sampled_from([0.0, 0.5])),
    st.builds(Cone, scope=st.sampled_from(["global", "parameter"]), smoothing=st.sampled_from([0.0, 0.5])),
    st.builds(Fixed),
    st.builds(Replay, st.sampled_from([(0,), (1, 0), (0, 1, 1)])),
)
GAINS = st.sampled_from([UnitGain(), UnitPower(), GainOf(HeavyBall(0.9)), GainOf(Nesterov(0.5)), Undamped()])
WRITES = st.sampled_from([None, None, None, "nearest", "kahan", "stochastic"])
WIDTHS = st.sampled_from([torch.float32, torch.float32, torch.float64])
BANKS = {"bank": st.sampled_from(["probe", "full"]), "selector": st.none() | SELECTORS}
LATE = {"delay": st.integers(0, 1)}
PRECISION = {"write": WRITES, "state_dtype": WIDTHS}
ENGINE = {"maximize": st.booleans(), "on_nonfinite": st.sampled_from(["skip", "skip", "raise", "ignore"]), **LATE}


@st.composite
def rules(draw: Any) -> Rule:
    """A sentence of parts that nobody has named; some of them are refused."""
    pool, selector, scale = draw(POOL), draw(SELECTORS), draw(GAINS)
    beta, nu = draw(BETAS), draw(st.sampled_from([0.0, 0.5, 1.0, 1.1]))
    poles = [QuasiHyperbolic(b, nu) for b in pool]
    filters: list[Callable[[], Any]] = [
        Identity,
        lambda: EMA(beta),
        lambda: HeavyBall(beta, 0.1),
        lambda: Nesterov(beta),
        lambda: QuasiHyperbolic(beta, nu),
        lambda: Bank(pool, selector, scale),
        lambda: Bank(poles, selector, scale),
        lambda: Probe(pool, selector, scale),
        lambda: Probe(poles, selector, scale),
    ]
    metric = draw(st.sampled_from([Euclid(), Sign(), SecondMoment(0.999), SecondMoment(0.0), SecondMoment(0.9, 1e-3)]))
    combine = draw(st.sampled_from([Decoupled(0.0), Decoupled(0.1), Coupled(0.0), Coupled(0.1)]))
    write = draw(st.sampled_from([Nearest(), Nearest(), Kahan(), Stochastic(7)]))
    try:
        return Rule(
            draw(st.sampled_from(filters))(), metric, Constant(), combine, write=write, state_dtype=draw(WIDTHS)
        )
    except (SlotError, ValueError) as error:
        assert len(str(error).split()) > 4
        reject()


@dataclass(frozen=True)
class Recipe:
    """What builds an optimizer, on whatever parameters."""

    make: Callable[..., Descent]
    options: dict[str, Any]

    def __call__(self, params: Any) -> Descent:
        """One with options of its own, so that nobody shares a learning rate."""
        return self.make(params, **{key: x.clone() if isinstance(x, Tensor) else x for key, x in self.options.items()})


@st.composite
def recipes(draw: Any) -> Recipe:
    """A named optimizer or a sentence, with options; some of them are refused."""
    first = st.tuples(BETAS | POOL | st.just("auto"), st.sampled_from([0.999, 0.9, 0.5]))
    momentum = BETAS | POOL | st.just("auto")
    everyones = {"lr": LR, **ENGINE}
    named: list[tuple[Any, dict[str, Any]]] = [
        (SGD, {**everyones, **PRECISION, **BANKS, "momentum": momentum, "nesterov": st.booleans(),
               "weight_decay": DECAY, "scale": st.none() | GAINS}),
        (Adam, {**everyones, **PRECISION, **BANKS, "betas": first, "eps": EPS, "weight_decay": DECAY,
                "decoupled_weight_decay": st.booleans(), "scale": st.none() | GAINS}),
        (AdamW, {**everyones, **PRECISION, **BANKS, "betas": first, "eps": EPS, "weight_decay": DECAY}),
        (Lion, {**everyones, **PRECISION, **BANKS, "betas": first, "weight_decay": DECAY}),
        (gap_sgd, {"lr": LR, **PRECISION, "momenta": POOL, "scope": st.sampled_from(["global", "parameter"])}),
        (gap_adam, {"lr": LR, **PRECISION, "betas": st.tuples(POOL, st.just(0.99)), "weight_decay": DECAY}),
        (Descent, {**everyones, "rule": rules()}),
    ]  # fmt: skip
    make, options = draw(st.sampled_from(named))
    given = {key: draw(how) for key, how in options.items()}
    if isinstance(given.get("momentum", given.get("betas", (0,))[0]), float):  # what has nothing to choose is refused
        given = {key: x for key, x in given.items() if key not in ("bank", "selector", "scale")}
    return Recipe(make, given)
