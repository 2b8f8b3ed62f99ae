"""Which way is steepest: norms with their dual maps, and learned preconditioners."""

from .diagonal import SecondMoment
from .euclid import Euclid
from .polar import QDWH, SVD, GramEigen, GramNewtonSchulz, GramQDWH, NewtonSchulz, Polar
from .root import inverse_root
from .shaped import Keller, MatchRMS, Shaped
from .sign import Sign
from .spectral import Spectral

__all__ = [
    "QDWH",
    "SVD",
    "Euclid",
    "GramEigen",
    "GramNewtonSchulz",
    "GramQDWH",
    "Keller",
    "MatchRMS",
    "NewtonSchulz",
    "Polar",
    "SecondMoment",
    "Shaped",
    "Sign",
    "Spectral",
    "inverse_root",
]
