"""Which way is steepest: norms with their dual maps, and learned preconditioners."""

from .diagonal import SecondMoment
from .euclid import Euclid
from .grafted import Grafted
from .kronecker import Kronecker, SideMoment
from .polar import SVD, NewtonSchulz, Polar
from .root import inverse_root
from .rotated import RotatedMoment
from .shaped import Keller, MatchRMS, Shaped
from .sign import Sign
from .spectral import Spectral

__all__ = [
    "SVD",
    "Euclid",
    "Grafted",
    "Keller",
    "Kronecker",
    "MatchRMS",
    "NewtonSchulz",
    "Polar",
    "RotatedMoment",
    "SecondMoment",
    "Shaped",
    "SideMoment",
    "Sign",
    "Spectral",
    "inverse_root",
]
