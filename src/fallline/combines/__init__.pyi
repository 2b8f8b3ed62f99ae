from .anchor import Anchor
from .conditional import FrankWolfe
from .decay import Coupled, Decoupled, Proximal, Steady
from .inertia import Inertia
from .pair import LowRankPair
from .primal import PrimalAverage
from .retract import FixedNorm, Retract
from .rotation import TwoSided
from .sphere import FrobeniusSphere, ObliqueSphere, SolvedSphere, SpectralSphere, Sphere
from .stiefel import Stiefel
from .trailing import Trailing
from .transport import Transport

__all__ = [
    "Anchor",
    "Coupled",
    "Decoupled",
    "FixedNorm",
    "FrankWolfe",
    "FrobeniusSphere",
    "Inertia",
    "LowRankPair",
    "ObliqueSphere",
    "PrimalAverage",
    "Proximal",
    "Retract",
    "SolvedSphere",
    "SpectralSphere",
    "Sphere",
    "Steady",
    "Stiefel",
    "Trailing",
    "Transport",
    "TwoSided",
]
