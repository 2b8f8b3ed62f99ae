from .anchor import Anchor
from .average import Averaged
from .conditional import FrankWolfe
from .decay import Coupled, Decoupled
from .pair import LowRankPair
from .primal import PrimalAverage
from .retract import FixedNorm, Retract
from .rotation import TwoSided
from .sphere import FrobeniusSphere, ObliqueSphere, SolvedSphere, SpectralSphere, Sphere
from .stiefel import Stiefel
from .trailing import Trailing
from .transport import Transport
from .weight import Exponential, Polynomial, Sizes, Uncorrected, Uniform, Weights

__all__ = [
    "Anchor",
    "Averaged",
    "Coupled",
    "Decoupled",
    "Exponential",
    "FixedNorm",
    "FrankWolfe",
    "FrobeniusSphere",
    "LowRankPair",
    "ObliqueSphere",
    "Polynomial",
    "PrimalAverage",
    "Retract",
    "Sizes",
    "SolvedSphere",
    "SpectralSphere",
    "Sphere",
    "Stiefel",
    "Trailing",
    "Transport",
    "TwoSided",
    "Uncorrected",
    "Uniform",
    "Weights",
]
