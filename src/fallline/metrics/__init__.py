"""Which way is steepest: norms with their dual maps, and learned preconditioners."""

from .conv import Conv
from .diagonal import SecondMoment
from .euclid import Euclid
from .fitted import Fitted
from .polar import SVD, NewtonSchulz, Polar
from .preconditioned import Preconditioned
from .resized import Exact, OwnDual, Weighted
from .root import inverse_root
from .row import Columns, Rows
from .schatten import KyFan, Nuclear, Schatten
from .shaped import FACTORS, FanIn, FanOut, FanRatio, Keller, MatchRMS, Shaped, shaped
from .sign import Sign
from .spectral import Spectral
from .whole import Frobenius, VectorRMS

__all__ = [
    "FACTORS",
    "SVD",
    "Columns",
    "Conv",
    "Euclid",
    "Exact",
    "FanIn",
    "FanOut",
    "FanRatio",
    "Fitted",
    "Frobenius",
    "Keller",
    "KyFan",
    "MatchRMS",
    "NewtonSchulz",
    "Nuclear",
    "OwnDual",
    "Polar",
    "Preconditioned",
    "Rows",
    "Schatten",
    "SecondMoment",
    "Shaped",
    "Sign",
    "Spectral",
    "VectorRMS",
    "Weighted",
    "inverse_root",
    "shaped",
]
