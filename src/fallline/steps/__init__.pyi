from .constant import Constant
from .dual import DualNorm, LargestDual
from .escape import EscapeVelocity
from .norm import AdaGradNorm, ColumnRatio, NormRatio
from .prodigy import ProdigyStep
from .wait import Wait
from .warmup import Warmup

__all__ = [
    "AdaGradNorm",
    "ColumnRatio",
    "Constant",
    "DualNorm",
    "EscapeVelocity",
    "LargestDual",
    "NormRatio",
    "ProdigyStep",
    "Wait",
    "Warmup",
]
