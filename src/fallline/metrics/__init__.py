"""Which way is steepest: norms with their dual maps, and learned preconditioners."""

from .diagonal import SecondMoment
from .euclid import Euclid
from .fitted import Fitted
from .polar import SVD, NewtonSchulz, Polar
from .shaped import Keller, MatchRMS, Shaped
from .sign import Sign
from .spectral import Spectral

__all__ = [
    "SVD",
    "Euclid",
    "Fitted",
    "Keller",
    "MatchRMS",
    "NewtonSchulz",
    "Polar",
    "SecondMoment",
    "Shaped",
    "Sign",
    "Spectral",
]
