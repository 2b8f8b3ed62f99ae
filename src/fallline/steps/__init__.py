"""How far: step rules."""

from .constant import Constant
from .norm import AdaGradNorm, ColumnRatio, NormRatio

__all__ = ["AdaGradNorm", "ColumnRatio", "Constant", "NormRatio"]
from .dual import DualNorm, LargestDual
from .escape import EscapeVelocity

__all__ = [
    "Constant",
    "DualNorm",
    "EscapeVelocity",
    "LargestDual",
]
