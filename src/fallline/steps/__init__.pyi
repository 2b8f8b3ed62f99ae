from .anchored import AnchoredStep
from .armijo import Sufficient
from .constant import Constant
from .distance import DoGStep, DoWGStep
from .dual import DualNorm, LargestDual
from .escape import EscapeVelocity
from .lipschitz import AdGDStep
from .norm import AdaGradNorm, ColumnRatio, NormRatio
from .prodigy import ProdigyStep
from .wait import Wait
from .warmup import Warmup

__all__ = [
    "AdGDStep",
    "AdaGradNorm",
    "AnchoredStep",
    "ColumnRatio",
    "Constant",
    "DoGStep",
    "DoWGStep",
    "DualNorm",
    "EscapeVelocity",
    "LargestDual",
    "NormRatio",
    "ProdigyStep",
    "Sufficient",
    "Wait",
    "Warmup",
]
