"""Operators, closed forms and bounds on small explicit matrices: the oracle of everything else."""

from .curvature import Mode, bend, best, drop, edge, spread, steady
from .endpoint import LeastSquares, commutator, complexity, decayed, end, filtered, kernel, switched
from .floor import Bowl, course, floor, greedy, lagged

__all__ = [
    "Bowl",
    "LeastSquares",
    "Mode",
    "bend",
    "best",
    "commutator",
    "complexity",
    "course",
    "decayed",
    "drop",
    "edge",
    "end",
    "filtered",
    "floor",
    "greedy",
    "kernel",
    "lagged",
    "spread",
    "steady",
    "switched",
]
