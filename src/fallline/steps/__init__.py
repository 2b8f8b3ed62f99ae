"""How far: step rules."""

from .constant import Constant
from .wait import Wait

__all__ = [
    "Constant",
    "Wait",
]
from .norm import AdaGradNorm, ColumnRatio, NormRatio

__all__ = ["AdaGradNorm", "ColumnRatio", "Constant", "NormRatio"]
