from .anchor import Anchor
from .average import IterateAverage
from .best import Best
from .conditional import FrankWolfe
from .conversion import Conversion, DoubleConversion
from .decay import Coupled, Decoupled, Proximal, Steady
from .extragradient import UDoGExtragradient, UniXGradient
from .inertia import Inertia
from .mechanic import OuterScale
from .modelled import Modelled
from .pair import LowRankPair
from .primal import PrimalAverage
from .probed import Probed
from .retract import FixedNorm, Retract
from .rotation import TwoSided
from .slow import SlowWeights
from .sphere import FrobeniusSphere, ObliqueSphere, SolvedSphere, SpectralSphere, Sphere
from .stiefel import Stiefel
from .trailing import Trailing
from .transport import Transport
from .weight import Exponential, Polynomial, Sizes, Uncorrected, Uniform, Weights

__all__ = [
    "Anchor",
    "Best",
    "Conversion",
    "Coupled",
    "Decoupled",
    "DoubleConversion",
    "Exponential",
    "FixedNorm",
    "FrankWolfe",
    "FrobeniusSphere",
    "Inertia",
    "IterateAverage",
    "LowRankPair",
    "Modelled",
    "ObliqueSphere",
    "OuterScale",
    "Polynomial",
    "PrimalAverage",
    "Probed",
    "Proximal",
    "Retract",
    "Sizes",
    "SlowWeights",
    "SolvedSphere",
    "SpectralSphere",
    "Sphere",
    "Steady",
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
