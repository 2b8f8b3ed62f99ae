"""Column: what is summed of every run of coordinates, and where it stands among the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

BETAS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99)  # momenta tried for the sign metric
BLOCK = 8  # steps of which sums are made together, and nothing waits for them
GRAM = "gmsd"  # the gradient, and directions m, sign m and m / sqrt(v)
POWERS = ("gm", "mm", "gs", "ss", "gd", "dd", "gg")  # products of these


@final
@dataclass(frozen=True)
class Columns:
    """Slices of the additive numbers, for a window of so many lags.

    euclid, diagonal [lags + 1]: <g_n, D g_{n-j}> with D = 1 and 1 / sqrt(v). sign, held [betas]: <g_n, sign(m_n)> with
    and without this step's gradient in m. powers [7]. cross [2]: products of micro-batches, and their sum's square.
    moves [2]: squares of the update and of the weights.

    >>> Columns(4)["diagonal"], Columns(4).total
    (slice(5, 10, None), 45)
    """

    window: int

    @cached_property
    def slices(self) -> dict[str, slice]:
        """By name."""
        lags, betas = self.window + 1, len(BETAS)
        widths = {"euclid": lags, "diagonal": lags, "sign": betas, "held": betas, "powers": len(POWERS)}
        found, at = {}, 0
        for name, width in (widths | {"cross": 2, "moves": 2}).items():
            found[name] = slice(at, at + width)
            at += width
        return found

    def __getitem__(self, name: str) -> slice:
        return self.slices[name]

    @property
    def total(self) -> int:
        """All together."""
        return self["moves"].stop
