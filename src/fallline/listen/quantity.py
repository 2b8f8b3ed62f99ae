"""Quantity: what is said of a scope, each with its formula and a sentence: the rows of tables, and the glossary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from .estimate import Estimate, Reading

Read = Callable[[Reading], Estimate | None]

METRICS = {"euclid": "Euclid (SGD)", "diagonal": "diagonal (Adam)", "sign": "sign (Lion)"}
FAMILIES = METRICS | {"row": "row", "column": "column", "spectral": "spectral (Muon)"}


@final
@dataclass(frozen=True)
class Quantity:
    """label, formula, and meaning in a sentence; read: where it is in a reading."""

    label: str
    formula: str
    meaning: str
    read: Read


def clean_best(metric: str) -> Read:
    """The momentum that pays most without the noise."""
    return lambda r: r.pay[metric].best_clean if metric in r.pay else None


POWER = Quantity("power", "E|g|²", "How large the gradient is, squared and averaged over steps.", lambda r: r.power)
SIGNAL = Quantity(
    "signal",
    "E|E[g | the past]|²",
    "The part of the power that other batches share: what is left when the noise of the batch is taken out.",
    lambda r: r.signal,
)
NOISE = Quantity("noise", "power − signal", "The part of the power that only this batch has.", lambda r: r.noise)
NOISE_SCALE = Quantity(
    "noise / signal",
    "noise / signal",
    "The gradient noise scale in batches: below 1 a step sees more signal than noise, above 1 more noise.",
    lambda r: r.noise_scale,
)
CRITICAL = Quantity(
    "critical batch",
    "batch size × noise / signal",
    "The batch size, in samples, at which signal and noise are equal; much larger ones waste samples, much smaller "
    "ones waste steps.",
    lambda r: r.critical_batch,
)
PERSISTENCE = Quantity(
    "persistence",
    "ρ in r_k = signal · ρᵏ",
    "What share of the signal is still there a step later: near 1 old gradients are worth remembering.",
    lambda r: r.persistence,
)
NEXT = Quantity(
    "lag-1 correlation",
    "r₁ / r₀,  r_k = E⟨g_n, g_{n−k}⟩",
    "How much a gradient agrees with the one before it: the first point of the autocorrelation.",
    lambda r: r.autocorrelation[1] if len(r.autocorrelation) > 1 else None,
)
EUCLID = Quantity("best momentum, Euclid", "", "", clean_best("euclid"))
DIAGONAL = Quantity("best momentum, diagonal", "", "", clean_best("diagonal"))
SIGN = Quantity("best momentum, sign", "", "", clean_best("sign"))
UPDATE = Quantity(
    "update / weights",
    "|Δθ| / |θ|",
    "How far one step moves the weights, relative to their size; 0.001 is a rule of thumb.",
    lambda r: r.update,
)
RANK = Quantity(
    "stable rank",
    "|G|²_F / |G|²₂",
    "How many directions a matrix really uses: 1 is a single one, and a spectral metric then differs most from Euclid.",
    lambda r: r.gradient and r.gradient.stable_rank,
)
ROWS = Quantity(
    "row imbalance",
    "n Σ rᵢ⁴ / (Σ rᵢ²)²",
    "How unequal the row norms rᵢ of a matrix are: 1 is all equal, n is a single row that is not 0.",
    lambda r: r.gradient and r.gradient.rows,
)
COLUMNS = Quantity(
    "column imbalance",
    "n Σ cᵢ⁴ / (Σ cᵢ²)²",
    "The same of its column norms.",
    lambda r: r.gradient and r.gradient.columns,
)

# What a scope is summed up with, in this order.
SUMMARY = (
    *(NOISE_SCALE, CRITICAL, NEXT, PERSISTENCE),
    *(EUCLID, DIAGONAL, SIGN),
    *(RANK, ROWS, COLUMNS, UPDATE),
)

# Words that are no quantities of a scope: name, formula, meaning.
TERMS = (
    (
        "pay",
        "P(β) = √(1 − β²) Σ_k βᵏ r_k",
        "The drop of the loss per unit of learning rate that momentum β earns at equal power of the updates, relative "
        "here to momentum 0 on the same batch (arXiv 2512.06370).",
    ),
    (
        "same batch, and clean",
        "r₀ with noise, and without",
        "On the same batch a gradient also meets its own noise, which favours short memory; the clean curve leaves "
        "that noise out.",
    ),
    (
        "margin",
        "P(best β) / P(β in use) − 1",
        "How much more the best momentum earns than the one in use.",
    ),
    (
        "can lose",
        "2 |r − r̂| / max P",
        "The most that the choice of momentum can lose because the autocorrelation is only estimated, as a share of "
        "the best pay.",
    ),
    (
        "family",
        "⟨g, d⟩ / (|g| |d|)",
        "A way to turn the momentum into a direction d: as it is, elementwise, or as a matrix. The number says what "
        "an update of fixed size earns, relative to the steepest one.",
    ),
    (
        "change point",
        "martingale ≥ 1 / risk",
        "A step before which a statistic changed. The alarm may look at every step, and is still false in a whole run "
        "with the stated risk at most (arXiv 2102.10439).",
    ),
    ("scope, role", "", "One tensor, all tensors of the same role in the network, or all of them."),
)

GLOSSARY = tuple((q.label, q.formula, q.meaning) for q in (POWER, SIGNAL, NOISE, *SUMMARY) if q.meaning) + TERMS
