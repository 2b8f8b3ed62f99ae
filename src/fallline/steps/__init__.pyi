from .chance import RandomScale
from .constant import Constant
from .dual import DualNorm, LargestDual
from .escape import EscapeVelocity
from .norm import AdaGradNorm, ColumnRatio, NormRatio
from .prodigy import ProdigyStep
from .wait import Wait

__all__ = [
    "AdaGradNorm",
    "ColumnRatio",
    "Constant",
    "DualNorm",
    "EscapeVelocity",
    "LargestDual",
    "NormRatio",
    "ProdigyStep",
    "RandomScale",
    "Wait",
]
