from .anchor import Anchor
from .average import Averaged
from .best import Best
from .conditional import FrankWolfe
from .conversion import Conversion, DoubleConversion
from .decay import Coupled, Decoupled
from .extragradient import UDoGExtragradient, UniXGradient
from .modelled import Modelled
from .pair import LowRankPair
from .primal import PrimalAverage
from .probed import Probed
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
    "Best",
    "Conversion",
    "Coupled",
    "Decoupled",
    "DoubleConversion",
    "Exponential",
    "FixedNorm",
    "FrankWolfe",
    "FrobeniusSphere",
    "LowRankPair",
    "Modelled",
    "ObliqueSphere",
    "Polynomial",
    "PrimalAverage",
    "Probed",
    "Retract",
    "Sizes",
    "SolvedSphere",
    "SpectralSphere",
    "Sphere",
    "Stiefel",
    "Trailing",
    "Transport",
    "TwoSided",
    "UDoGExtragradient",
    "Uncorrected",
    "UniXGradient",
    "Uniform",
    "Weights",
]
