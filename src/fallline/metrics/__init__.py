"""Which way is steepest: norms with their dual maps, and learned preconditioners."""

from .curve import Clip, Curve, Power, QuasiNorm, Soft
from .diagonal import SecondMoment
from .euclid import Euclid
from .polar import SVD, NewtonSchulz, Polar
from .preconditioned import Preconditioned
from .resized import Exact, OwnDual, Weighted
from .row import Columns, Rows
from .schatten import KyFan, Nuclear, Schatten
from .shaped import FACTORS, FanIn, FanOut, FanRatio, Keller, MatchRMS, Shaped, shaped
from .sign import Sign
from .slice import Sliced
from .spectral import Spectral
from .spectrum import Spectrum
from .whole import Frobenius, VectorRMS

__all__ = [
    "FACTORS",
    "SVD",
    "Clip",
    "Columns",
    "Curve",
    "Euclid",
    "Exact",
    "FanIn",
    "FanOut",
    "FanRatio",
    "Frobenius",
    "Keller",
    "KyFan",
    "MatchRMS",
    "NewtonSchulz",
    "Nuclear",
    "OwnDual",
    "Polar",
    "Power",
    "Preconditioned",
    "QuasiNorm",
    "Rows",
    "Schatten",
    "SecondMoment",
    "Shaped",
    "Sign",
    "Sliced",
    "Soft",
    "Spectral",
    "Spectrum",
    "VectorRMS",
    "Weighted",
    "shaped",
]
