"""The shape factor of maps between root mean squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from .shaped import Shaped


@final
@dataclass(frozen=True)
class Fan(Shaped):
    """s = sqrt(m / n): spectral length between vectors measured by their root mean square (Scion, Modula, Dion)."""

    def factor(self, m: int, n: int) -> float:
        """sqrt(m / n)."""
        return float((m / n) ** 0.5)
