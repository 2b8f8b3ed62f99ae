"""Which way is steepest: norms with their dual maps, and learned preconditioners."""

from .curve import Clip, Curve, Power, QuasiNorm, Soft
from .diagonal import SecondMoment
from .euclid import Euclid
from .fan import Fan
from .polar import SVD, NewtonSchulz, Polar
from .shaped import Keller, MatchRMS, Shaped
from .sign import Sign
from .slice import Sliced
from .spectral import Spectral
from .spectrum import Spectrum

__all__ = [
    "SVD",
    "Clip",
    "Curve",
    "Euclid",
    "Fan",
    "Keller",
    "MatchRMS",
    "NewtonSchulz",
    "Polar",
    "Power",
    "QuasiNorm",
    "SecondMoment",
    "Shaped",
    "Sign",
    "Sliced",
    "Soft",
    "Spectral",
    "Spectrum",
]
