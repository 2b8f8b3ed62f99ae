"""Operators, closed forms and bounds on small explicit matrices: the oracle of everything else."""

from .endpoint import LeastSquares, commutator, complexity, decayed, end, filtered, kernel, switched

__all__ = ["LeastSquares", "commutator", "complexity", "decayed", "end", "filtered", "kernel", "switched"]
