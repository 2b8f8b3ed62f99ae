"""Coefficients (a, b, c) of the odd polynomials a x + b x^3 + c x^5 whose composition approaches sign(x) on (0, 1]."""

from __future__ import annotations

from functools import lru_cache

Triple = tuple[float, float, float]

_MODULA = (
    (3955, -8306, 5008),
    (3735, -6681, 3463),
    (3799, -6499, 3211),
    (4019, -6385, 2906),
    (2677, -3029, 1162),
    (2172, -1833, 682),
)

# The name of a set: its steps, in order. Whoever takes more steps repeats the last one.
SETS: dict[str, tuple[Triple, ...]] = {
    # K. Jordan 2024, torch.optim.Muon: steepest at 0, ends in a cycle around 1 instead of at 1
    "keller": ((3.4445, -4.7750, 2.0315),) * 5,
    # J. You, in microsoft/dion
    "you-5": (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
    # J. You, in Modula
    "you-6": tuple((a / 1024, b / 1024, c / 1024) for a, b, c in _MODULA),
    # Amsel et al., arXiv 2505.16932: the best composition for [1e-3, 1], before any safety factor
    "polar-express": (
        (8.28721201814563, -23.595886519098837, 17.300387312530933),
        (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
        (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
        (3.3184196573706015, -2.488488024314874, 0.51004894012372),
        (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
        (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
        (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
        (1.875, -1.25, 0.375),
    ),
    # Grishina et al., arXiv 2506.10935 (the set that ports of it use)
    "cans": (
        (8.4703, -25.1081, 18.6293),
        (4.1828, -3.1087, 0.5806),
        (3.9619, -2.9541, 0.5630),
        (3.2866, -2.4647, 0.5074),
        (2.2737, -1.6447, 0.4162),
    ),
    # arXiv 2606.00371: no fifth power, so two products a step instead of three
    "cubic-5": (
        (3.36566, -3.34210, 0.0),
        (2.57444, -1.49574, 0.0),
        (2.53690, -1.43126, 0.0),
        (2.44189, -1.27640, 0.0),
        (2.22305, -0.96307, 0.0),
    ),
    # DeepSeek-V4: eight steep steps and two that converge
    "deepseek-10": ((3.4445, -4.7750, 2.0315),) * 8 + ((2.0, -1.5, 0.5),) * 2,
    # Turbo-Muon, arXiv 2512.04632: made for the start AOL
    "turbo": (
        (4.6051, -9.6552, 5.6769),
        (4.7505, -6.0861, 2.1790),
        (2.7763, -2.3190, 0.5523),
        (2.4231, -2.2861, 0.8193),
    ),
    # Kovarik 1970, Bjorck & Bowie 1971: monotone, never above 1, slow where singular values are small
    "quintic": ((1.875, -1.25, 0.375),) * 5,
    "cubic": ((1.5, -0.5, 0.0),) * 5,
}


@lru_cache(maxsize=64)
def triples(named: str | tuple[Triple, ...], steps: int | None, safety: float) -> tuple[Triple, ...]:
    """The steps of a set, the last one repeated or left out; all of the set but its last act on x / safety.

    >>> triples("cubic", 2, 1.0)
    ((1.5, -0.5, 0.0), (1.5, -0.5, 0.0))
    """
    found = SETS[named] if isinstance(named, str) else named
    safe = tuple((a / safety, b / safety**3, c / safety**5) for a, b, c in found[:-1]) + found[-1:]
    return safe[:steps] + safe[-1:] * ((steps or 0) - len(safe))


def check(named: object, steps: int | None, safety: float) -> None:
    """Refuse what is no set of coefficients."""
    if isinstance(named, str) and named not in SETS:
        raise ValueError(
            f"No coefficients are called {named!r}; there are {', '.join(SETS)}, or give triples (a, b, c)."
        )
    triple = isinstance(named, tuple) and named and all(isinstance(t, tuple) and len(t) == 3 for t in named)
    if not isinstance(named, str) and not triple:
        raise ValueError(f"Coefficients are a name or a tuple of triples (a, b, c), not {named!r}.")
    if not (steps is None or steps >= 1) or not safety >= 1.0:
        raise ValueError(f"steps = {steps} must be 1 or more and safety = {safety} 1.0 or more.")
