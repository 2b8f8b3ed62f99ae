"""How far: step rules."""

from .constant import Constant
from .dual import DualNorm, LargestDual
from .escape import EscapeVelocity

__all__ = [
    "Constant",
    "DualNorm",
    "EscapeVelocity",
    "LargestDual",
]
