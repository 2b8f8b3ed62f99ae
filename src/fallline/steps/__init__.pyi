from .adaptation import DAdaptAverage, DAdaptSum
from .anchored import AnchoredStep
from .armijo import Sufficient
from .chance import RandomScale
from .constant import Constant
from .distance import DoGStep, DoWGStep
from .dual import DualNorm, LargestDual
from .energy import ElementEnergy, Energy
from .escape import EscapeVelocity
from .hypergradient import Hypergradient, HypergradientRatio
from .induced import InducedLogStep, InducedStep
from .length import NormPower, NormSum, QuadraticModel
from .lipschitz import AdGDStep
from .momo import LearnedModel, TruncatedModel
from .norm import AdaGradNorm, ColumnRatio, NormRatio
from .polyak import MovingPolyak, Polyak, SmoothPolyak
from .prodigy import ProdigyStep
from .wait import Wait
from .warmup import Warmup

__all__ = [
    "AdGDStep",
    "AdaGradNorm",
    "AnchoredStep",
    "ColumnRatio",
    "Constant",
    "DAdaptAverage",
    "DAdaptSum",
    "DoGStep",
    "DoWGStep",
    "DualNorm",
    "ElementEnergy",
    "Energy",
    "EscapeVelocity",
    "Hypergradient",
    "HypergradientRatio",
    "InducedLogStep",
    "InducedStep",
    "LargestDual",
    "LearnedModel",
    "MovingPolyak",
    "NormPower",
    "NormRatio",
    "NormSum",
    "Polyak",
    "ProdigyStep",
    "QuadraticModel",
    "RandomScale",
    "SmoothPolyak",
    "Sufficient",
    "TruncatedModel",
    "Wait",
    "Warmup",
]
