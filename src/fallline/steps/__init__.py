"""How far: step rules."""

from .constant import Constant
from .norm import AdaGradNorm, ColumnRatio, NormRatio
from .wait import Wait

__all__ = ["AdaGradNorm", "ColumnRatio", "Constant", "NormRatio", "Wait"]
