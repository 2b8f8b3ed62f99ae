from .conv import Conv
from .curve import Clip, Curve, Power, QuasiNorm, Soft
from .diagonal import SecondMoment
from .euclid import Euclid
from .fitted import Fitted
from .grafted import Grafted
from .hutchinson import Hutchinson
from .kronecker import Kronecker, SideMoment
from .kullback import Kullback
from .moment import FadingPeak, MaxSecondMoment, QuasiMoment, Rectified, Surprise
from .polar import QDWH, SVD, GramEigen, GramNewtonSchulz, GramQDWH, NewtonSchulz, Polar
from .preconditioned import Preconditioned
from .raw import RawMoment
from .resized import Exact, OwnDual, Weighted
from .root import inverse_root
from .rotated import RotatedMoment
from .row import Columns, Rows
from .schatten import KyFan, Nuclear, Schatten
from .shape import FACTORS, FanIn, FanOut, FanRatio, Keller, MatchRMS, Shaped, shaped
from .sign import Sign
from .slice import Sliced
from .spectral import Spectral
from .spectrum import Spectrum
from .square import SquareMoment, SquareSum
from .subset import SubsetNorm
from .varied import Varied
from .whole import Frobenius, VectorRMS

__all__ = [
    "FACTORS",
    "QDWH",
    "SVD",
    "Clip",
    "Columns",
    "Conv",
    "Curve",
    "Euclid",
    "Exact",
    "FadingPeak",
    "FanIn",
    "FanOut",
    "FanRatio",
    "Fitted",
    "Frobenius",
    "Grafted",
    "GramEigen",
    "GramNewtonSchulz",
    "GramQDWH",
    "Hutchinson",
    "Keller",
    "Kronecker",
    "Kullback",
    "KyFan",
    "MatchRMS",
    "MaxSecondMoment",
    "NewtonSchulz",
    "Nuclear",
    "OwnDual",
    "Polar",
    "Power",
    "Preconditioned",
    "QuasiMoment",
    "QuasiNorm",
    "RawMoment",
    "Rectified",
    "RotatedMoment",
    "Rows",
    "Schatten",
    "SecondMoment",
    "Shaped",
    "SideMoment",
    "Sign",
    "Sliced",
    "Soft",
    "Spectral",
    "Spectrum",
    "SquareMoment",
    "SquareSum",
    "SubsetNorm",
    "Surprise",
    "Varied",
    "VectorRMS",
    "Weighted",
    "inverse_root",
    "shaped",
]
