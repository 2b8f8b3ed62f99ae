from .armijo import Sufficient
from .constant import Constant
from .dual import DualNorm, LargestDual
from .escape import EscapeVelocity
from .lipschitz import AdGDStep
from .norm import AdaGradNorm, ColumnRatio, NormRatio
from .prodigy import ProdigyStep
from .wait import Wait

__all__ = [
    "AdGDStep",
    "AdaGradNorm",
    "ColumnRatio",
    "Constant",
    "DualNorm",
    "EscapeVelocity",
    "LargestDual",
    "NormRatio",
    "ProdigyStep",
    "Sufficient",
    "Wait",
]
