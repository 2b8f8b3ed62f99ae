"""How far: step rules."""

from .constant import Constant
from .norm import AdaGradNorm, ColumnRatio, NormRatio

__all__ = ["AdaGradNorm", "ColumnRatio", "Constant", "NormRatio"]
